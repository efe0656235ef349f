"""Neural-linear Thompson sampling: a net for the person, a Bayesian line for each arm (Riquelme, 2018).

    r_a ~ N(theta_a^T z, noise^2)      z = [1, phi(x)]      theta_a ~ N(A_a^-1 b_a, noise^2 A_a^-1)

The net phi is trained as usual; its last layer is thrown away, and each arm's is a posterior instead (their
section 3.4). An arm is shown as often as a draw from its posterior is the largest. As arms are independent,
one number of noise an arm draws what it earns, so the caller's noise is an input and the graph draws nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketrec.model_zoo.data import open_bandit
from pocketrec.model_zoo.families.parts.person import PersonNet
from pocketrec.model_zoo.families.parts.posterior import ArmPosterior
from pocketrec.model_zoo.families.parts.store_counts import NOISE, SCALE, learn_after_counts
from pocketrec.model_zoo.training.loop import Schedule, fit, shuffled, to_tensors
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=8, patience=3, learning_rate=3e-4, weight_decay=0.1)
BATCH_SIZE = 2048
REACH = 3.5  # standard deviations around a mean in which draws are looked for
NODES = 64  # values of the best draw at which chances are summed


class NeuralLinear(nn.Module):
    """What every arm earns by one draw, and the chance that it earns the most."""

    nodes: Tensor

    def __init__(
        self, *, sizes: tuple[int, ...], arms: int, hidden: int, dim: int, noise: float, scale: float
    ) -> None:
        super().__init__()
        self.noise = noise
        self.scale = scale
        self.person = PersonNet(sizes=sizes, hidden=hidden, dim=dim)
        self.posterior = ArmPosterior(arms, 1 + dim)
        self.register_buffer("nodes", (torch.arange(NODES) + 0.5) / NODES, persistent=False)

    def forward(
        self, person_0: Tensor, person_1: Tensor, person_2: Tensor, person_3: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Draws and chances of all arms, `[B, arms]` each, from ids `[B]` and normal noise `[B, arms]`."""
        mean, width = self.posterior(self.context((person_0, person_1, person_2, person_3)))
        width = self.noise * width
        return mean + width * noise, self.chances(mean, width)

    def context(self, ids: tuple[Tensor, ...]) -> Tensor:
        """z, `[B, 1 + dim]`: a constant and the person's vector, in the measure of the prior."""
        return F.pad(self.person(ids), (1, 0), value=1.0) * self.scale

    def chances(self, mean: Tensor, width: Tensor) -> Tensor:
        """The chance of each arm that its draw is the largest, `[B, arms]`.

        P(a) = integral of the density of a's draw at t, times P(draw of b < t) of all others, summed at nodes
        between where the largest can be. The normal distribution function is Page's (1977), right to 1.4e-4.
        """
        lowest = (mean - REACH * width).amax(dim=-1, keepdim=True)
        highest = (mean + REACH * width).amax(dim=-1, keepdim=True)
        t = lowest + (highest - lowest) * self.nodes
        far = (t.unsqueeze(-1) - mean.unsqueeze(1)) / width.unsqueeze(1)  # [B, nodes, arms]
        below = -F.softplus(-far * (1.5976 + 0.070565776 * far.square()))  # its logarithm
        density = torch.exp(-0.5 * far.square()) * (width.amin(dim=-1, keepdim=True) / width).unsqueeze(1)
        found = (density * torch.exp(below.sum(dim=-1, keepdim=True) - below)).sum(dim=1)
        return found / found.sum(dim=-1, keepdim=True)


def model(
    *,
    num_arms: int,
    num_person_0s: int,
    num_person_1s: int,
    num_person_2s: int,
    num_person_3s: int,
    hidden: int = 32,
    dim: int = 8,
    noise: float = NOISE,
    scale: float = SCALE,
) -> NeuralLinear:
    """A NeuralLinear in eval mode that has seen nothing; numbers of values count without the id 0."""
    sizes = (num_person_0s, num_person_1s, num_person_2s, num_person_3s)
    return NeuralLinear(sizes=sizes, arms=num_arms, hidden=hidden, dim=dim, noise=noise, scale=scale).eval()


class LastLayer(nn.Module):
    """The net with a usual last layer, a row an item: what phi is trained with."""

    def __init__(self, person: PersonNet, items: int, dim: int) -> None:
        super().__init__()
        self.person = person
        self.items = nn.Embedding(items, dim + 1)
        nn.init.zeros_(self.items.weight)
        self.base = nn.Parameter(torch.tensor(-5.4))  # the log-odds of a click

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Logits of a click, `[B]`."""
        rows = self.items(batch["item"])
        vector = self.person(tuple(batch[f"person_{place}"] for place in range(4)))
        logits: Tensor = self.base + rows[:, -1] + (rows[:, :-1] * vector).sum(dim=-1)
        return logits


def train(run: Run, schedule: Schedule = SCHEDULE) -> NeuralLinear:
    """A NeuralLinear in eval mode: phi from all logs but `random` of `all`, the arms from `bts` of `all`."""
    net = model(num_arms=len(open_bandit.arms().tokens), **open_bandit.person_sizes())
    _fit_person(net, schedule, run)
    found = open_bandit.log("bts")
    with torch.no_grad():
        x = net.context(tuple(torch.from_numpy(each) for each in found.person.T)).double().numpy()
    learn_after_counts(net.posterior, x, found)
    return net


def _fit_person(net: NeuralLinear, schedule: Schedule, run: Run) -> None:
    logs = [each for each in open_bandit.LOGS if each != ("random", "all")]
    early, later = (open_bandit.impressions(split=split, logs=logs) for split in ("train", "test"))
    inputs, labels = to_tensors(early.inputs), torch.from_numpy(early.labels)
    whole = LastLayer(net.person, len(open_bandit.item_vocabulary().tokens), net.posterior.theta.shape[1] - 1)

    def losses() -> Iterator[Tensor]:
        for rows in shuffled(len(early), BATCH_SIZE, run.rng):
            batch = {name: each[rows] for name, each in inputs.items()}
            yield F.binary_cross_entropy_with_logits(whole(batch), labels[rows])

    def measure() -> float:
        logits = whole(to_tensors(later.inputs))
        return -float(F.binary_cross_entropy_with_logits(logits, torch.from_numpy(later.labels)))

    fit(whole, losses=losses, measure=measure, schedule=schedule, run=run)
