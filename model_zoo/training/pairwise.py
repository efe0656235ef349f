"""How models of users and items learn from pairs: Bayesian personalized ranking (Rendle et al., 2009).

    -Σ ln σ(x_ui - x_uj) + λ ‖Θ‖²      i chosen by u, j not      (BPR-OPT)

A pair for every choice and epoch, j drawn evenly from what u has not chosen; Θ are the rows of the pair.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pocketrec.evaluation import RankingData
from pocketrec.model_zoo.data.choices import Chosen
from pocketrec.model_zoo.data.sequences import Moments
from pocketrec.model_zoo.families.parts.factors import Factors
from pocketrec.model_zoo.training.loop import Schedule, fit, hit_rate_and_ndcg, shuffled
from pocketrec.model_zoo.training.run import Run


def fit_pairs(
    net: Factors,
    chosen: Chosen,
    valid: RankingData,
    *,
    schedule: Schedule,
    batch_size: int,
    decay: float,
    run: Run,
) -> float:
    """The best NDCG@10 on `valid`; `net` is left settled, in eval mode, with the weights that reached it.

    Args:
        net: trained in place.
        chosen: whether a user has chosen an item, `[users + 1, items + 1]`.
        valid: the validation items; row i is user i + 1.
        schedule: when to stop.
        batch_size: pairs a step.
        decay: λ.
        run: random numbers, progress, and what is kept.
    """
    users, items = np.nonzero(chosen)

    def losses() -> Iterator[Tensor]:
        pairs = torch.from_numpy(np.stack([users, items, unchosen(chosen, users, run.rng)]))
        for rows in shuffled(len(users), batch_size, run.rng):
            yield bpr_loss(net, pairs[:, rows], decay)

    def measure() -> float:
        user, item = net.vectors()
        return hit_rate_and_ndcg((user[1:] @ item.T).numpy(), valid)[1]

    best = fit(net, losses=losses, measure=measure, schedule=schedule, run=run)
    net.settle()
    return best


def bpr_loss(net: Factors, pairs: Tensor, decay: float) -> Tensor:
    """BPR-OPT, its mean over pairs `[3, B]`: ids of users, of what they chose, and of what not."""
    user, positive, negative = pairs
    users, items = net.vectors()
    difference = (users[user] * (items[positive] - items[negative])).sum(dim=-1)
    rows = net.user_factors(user), net.item_factors(positive), net.item_factors(negative)
    size = torch.stack([each.square().sum(dim=-1).mean() for each in rows]).sum()
    return -F.logsigmoid(difference).mean() + decay * size


def unchosen(chosen: Chosen, users: Moments, rng: np.random.Generator) -> Moments:
    """For each of `users` `[n]` an item that is not among the chosen, drawn evenly, `[n]`."""
    found = rng.integers(1, chosen.shape[1], len(users))
    again = np.flatnonzero(chosen[users, found])
    while len(again):
        found[again] = rng.integers(1, chosen.shape[1], len(again))
        again = again[chosen[users[again], found[again]]]
    return found
