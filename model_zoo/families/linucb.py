"""LinUCB with disjoint linear models: the arm whose upper confidence bound is highest (Li et al., 2010).

    p_a = theta_a^T x + alpha sqrt(x^T A_a^-1 x)        algorithm 1, line 9

for an item a and a person x: a constant and one of each feature's values. alpha is the noise of a click, so
the bound is one standard deviation above the mean.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketrec.model_zoo.data import open_bandit
from pocketrec.model_zoo.families.parts.posterior import ArmPosterior
from pocketrec.model_zoo.families.parts.store_counts import NOISE, SCALE, learn_after_counts
from pocketrec.model_zoo.training.run import Run


class LinUCB(nn.Module):
    """The upper confidence bound of every arm for a person."""

    def __init__(self, *, sizes: tuple[int, ...], arms: int, alpha: float, scale: float) -> None:
        super().__init__()
        self.sizes = sizes
        self.alpha = alpha
        self.scale = scale
        self.posterior = ArmPosterior(arms, 1 + sum(sizes))

    def forward(
        self, person_0: Tensor, person_1: Tensor, person_2: Tensor, person_3: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Upper bounds, means and widths of all arms, `[B, arms]` each, from ids `[B]`."""
        mean, width = self.posterior(self.context((person_0, person_1, person_2, person_3)))
        return mean + self.alpha * width, mean, width

    def context(self, ids: tuple[Tensor, ...]) -> Tensor:
        """x, `[B, d]`: a constant and a one for each feature's value; an unknown id, 0, has none."""
        ones = [
            (each.unsqueeze(-1) == torch.arange(1, size + 1, device=each.device)).to(
                self.posterior.theta.dtype
            )
            for each, size in zip(ids, self.sizes, strict=True)
        ]
        return F.pad(torch.cat(ones, dim=-1), (1, 0), value=1.0) * self.scale


def model(
    *,
    num_arms: int,
    num_person_0s: int,
    num_person_1s: int,
    num_person_2s: int,
    num_person_3s: int,
    alpha: float = NOISE,
    scale: float = SCALE,
) -> LinUCB:
    """A LinUCB in eval mode that has seen nothing; numbers of values count without the id 0."""
    sizes = (num_person_0s, num_person_1s, num_person_2s, num_person_3s)
    return LinUCB(sizes=sizes, arms=num_arms, alpha=alpha, scale=scale).eval()


def train(run: Run) -> LinUCB:
    """A LinUCB that has seen the log of Bernoulli Thompson sampling, `bts`, of the campaign `all`."""
    net = model(num_arms=len(open_bandit.arms().tokens), **open_bandit.person_sizes())
    found = open_bandit.log("bts")
    x = net.context(tuple(torch.from_numpy(each) for each in found.person.T)).double().numpy()
    learn_after_counts(net.posterior, x, found)
    run.progress(1, 1, float(found.click.mean()))
    return net
