"""Ratings with a variance: probabilistic matrix factorization, its factors Gaussians (Lim and Teh, 2007).

    r_ui ~ N(m + b_u + b_i + p_u . q_i, s^2)        p_u ~ N(mu_u, diag v_u), q_i likewise, and biases

which is the model of Salakhutdinov and Mnih (2008, eq. 1) with posteriors in place of points. As these are
independent, the predictive mean is m + mu_bu + mu_bi + mu_u . mu_i, and the predictive variance

    s^2 + v_bu + v_bi + sum_k (v_u mu_i^2 + mu_u^2 v_i + v_u v_i)

Trained by the variational bound: the expected squared error, and the divergence of each row from its prior.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from pocketrec.evaluation import Arrays
from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.training.loop import Floats, Schedule, fit, score_all, shuffled, to_tensors
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=30, patience=5, learning_rate=1e-2)
BATCH_SIZE = 4096
LIKED = movielens.POSITIVE_RATING - 0.5  # ratings are whole, so 4 or more is above 3.5
PRIOR = 0.1  # the variance of a factor
START = -4.0  # the logarithm of a factor's variance before anything is seen


class PMF(nn.Module):
    """What a user will rate an item with, how sure that is, and whether it will be 4 or 5.

    A row holds means of `dim` factors and a bias, then the logarithms of their variances.
    """

    def __init__(self, *, users: int, items: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.users = nn.Embedding(users + 1, 2 * (dim + 1))
        self.items = nn.Embedding(items + 1, 2 * (dim + 1))
        self.mean = nn.Parameter(torch.zeros(1))
        self.log_noise = nn.Parameter(torch.zeros(1))
        for rows in (self.users.weight, self.items.weight):
            nn.init.normal_(rows[:, : dim + 1], std=PRIOR)
            nn.init.constant_(rows[:, dim + 1 :], START)

    def forward(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and variance of the rating, and the chance of 4 or 5, `[B]` each, from ids `[B]`."""
        mean, spread = self.moments(self.users(user), self.items(item))
        variance = spread + self.log_noise.exp()
        above = (mean - LIKED) * torch.rsqrt(2 * variance)
        return mean, variance, 0.5 * (1 + torch.erf(above))

    def moments(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        """A rating's mean, and its variance without the noise, `[B]` each, from rows `[B, 2 (dim + 1)]`."""
        (m, b), (v, w) = self._parts(user)
        (n, c), (x, y) = self._parts(item)
        mean = self.mean + b + c + (m * n).sum(dim=-1)
        return mean, w + y + (v * n.square() + m.square() * x + v * x).sum(dim=-1)

    def _parts(self, rows: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Means of factors and bias, then their variances."""
        means, variances = rows[..., : self.dim + 1], rows[..., self.dim + 1 :].exp()
        return (means[..., :-1], means[..., -1]), (variances[..., :-1], variances[..., -1])

    def divergence(self, rows: Tensor) -> Tensor:
        """Of rows `[n, 2 (dim + 1)]` from their prior N(0, PRIOR), `[n]` (Kullback and Leibler, 1951)."""
        means, logs = rows[..., : self.dim + 1], rows[..., self.dim + 1 :]
        ratio = logs - math.log(PRIOR)
        found: Tensor = 0.5 * (ratio.exp() + means.square() / PRIOR - 1 - ratio).sum(dim=-1)
        return found


def model(*, num_users: int, num_items: int, dim: int = 16) -> PMF:
    """A PMF in eval mode with random weights; numbers count without the id 0, which is an unknown one."""
    return PMF(users=num_users, items=num_items, dim=dim).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> PMF:
    """A PMF trained on MovieLens-100K, in eval mode; the best epoch by likelihood on validation."""
    net = model(
        num_users=len(movielens.user_vocabulary().tokens) - 1,
        num_items=len(movielens.item_vocabulary().tokens) - 1,
    )
    inputs = to_tensors(movielens.pairs(split="train").inputs)
    stars = torch.from_numpy(movielens.stars(split="train"))
    later, later_stars = movielens.pairs(split="valid").inputs, movielens.stars(split="valid")
    net.mean.data.fill_(float(stars.mean()))

    def losses() -> Iterator[Tensor]:
        for rows in shuffled(len(stars), BATCH_SIZE, run.rng):
            yield negative_bound(net, inputs["user"][rows], inputs["item"][rows], stars[rows], len(stars))

    def measure() -> float:
        mean, variance = predicted(net, later)[:2]
        return -float(negative_log_likelihood(mean, variance, later_stars).mean())

    fit(net, losses=losses, measure=measure, schedule=schedule, run=run)
    return net


def negative_bound(net: PMF, user: Tensor, item: Tensor, stars: Tensor, ratings: int) -> Tensor:
    """The negative evidence lower bound per rating, from a batch of `ratings` in all; without its constant.

    E[(r - r_ui)^2] is the square of the mean's error plus the spread.
    """
    mean, spread = net.moments(net.users(user), net.items(item))
    expected = ((stars - mean).square() + spread).mean()
    divergence = net.divergence(net.users.weight).sum() + net.divergence(net.items.weight).sum()
    return 0.5 * (expected * (-net.log_noise).exp() + net.log_noise).sum() + divergence / ratings


def predicted(net: PMF, inputs: Arrays) -> tuple[Floats, Floats, Floats]:
    """Mean, variance and chance of every row, float32 `[rows]` each."""
    found = score_all(lambda batch: torch.stack(net(batch["user"], batch["item"]), dim=1), inputs, size=8192)
    return found[:, 0], found[:, 1], found[:, 2]


def negative_log_likelihood(mean: Floats, variance: Floats, stars: Floats) -> Floats:
    """Of every rating, in nats, `[rows]`."""
    found: Floats = 0.5 * (np.log(2 * np.pi * variance) + (stars - mean) ** 2 / variance)
    return found
