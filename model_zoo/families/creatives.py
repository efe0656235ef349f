"""Creatives: which picture of an item for whom, by the picture's vector (after Wang et al., 2021).

The visual prior of their hybrid bandit ranks a picture by its vector v alone, wᵀ v; here somebody's taste t,
the mean of what they watched, turns it: s(u, a) = tᵀ W v_a + wᵀ v_a + b_a. b is of the picture alone, learned
where it was shown. Trained on clicks by the logistic loss; pictures and clicks are SYNTHETIC.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from pocketrec.model_zoo.data import creatives, movielens
from pocketrec.model_zoo.training.loop import Schedule, fit, shuffled
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=30, patience=4, learning_rate=1e-2, weight_decay=0.3)
BATCH_SIZE = 4096
Rows = npt.NDArray[np.int64] | slice


class Creatives(nn.Module):
    """Log-odds that somebody clicks on a picture."""

    def __init__(self, *, num_items: int, num_posters: int, width: int, dim: int) -> None:
        super().__init__()
        self.item_embedding = nn.Embedding(num_items + 1, dim, padding_idx=0)
        self.taste = nn.Linear(dim, dim)
        self.picture = nn.Linear(width, dim, bias=False)  # W
        self.prior = nn.Linear(width, 1)  # w
        self.appeal = nn.Embedding(num_posters + 1, 1, padding_idx=0)  # b
        nn.init.normal_(self.item_embedding.weight[1:], std=dim**-0.5)
        nn.init.zeros_(self.appeal.weight)

    def forward(self, history: Tensor, poster: Tensor, image: Tensor) -> Tensor:
        """Logits `[B]` of a history `[B, T]`, pictures `[B]` and their vectors `[B, width]`."""
        return self.score(self.taste_of(history), poster, image)

    def taste_of(self, history: Tensor) -> Tensor:
        """Somebody's taste, `[B, d]`."""
        embedded = self.item_embedding(history)
        real = (history != 0).unsqueeze(-1).to(embedded.dtype)
        mean = (embedded * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)
        taste: Tensor = self.taste(mean)
        return taste

    def score(self, taste: Tensor, poster: Tensor, image: Tensor) -> Tensor:
        """Logits `[B]` of tastes `[B, d]`, pictures and their vectors."""
        fit = (taste * self.picture(image)).sum(dim=-1)
        logits: Tensor = fit + self.prior(image).squeeze(-1) + self.appeal(poster).squeeze(-1)
        return logits


def model(*, num_items: int, num_posters: int, width: int = creatives.WIDTH, dim: int = 32) -> Creatives:
    """A Creatives in eval mode with random weights."""
    return Creatives(num_items=num_items, num_posters=num_posters, width=width, dim=dim).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> Creatives:
    """A Creatives trained on drawn clicks, in eval mode; the best epoch by AUC on validation."""
    net = model(
        num_items=len(movielens.item_vocabulary().tokens) - 1,
        num_posters=len(creatives.poster_vocabulary().tokens) - 1,
    )
    past, valid = creatives.shown("train"), creatives.shown("valid")
    histories = torch.from_numpy(creatives.histories())
    vectors = torch.from_numpy(creatives.posters().vector)

    def logits(shown: creatives.Shown, rows: Rows) -> Tensor:
        poster = torch.from_numpy(shown.poster[rows])
        taste = net.taste_of(histories)  # once for everybody, of whom a batch has nearly all
        return net.score(taste[torch.from_numpy(shown.user[rows])], poster, vectors[poster.long()])

    def losses() -> Iterator[Tensor]:
        for rows in shuffled(len(past.clicked), BATCH_SIZE, run.rng):
            clicked = torch.from_numpy(past.clicked[rows])
            yield F.binary_cross_entropy_with_logits(logits(past, rows), clicked)

    def measure() -> float:
        return float(roc_auc_score(valid.clicked, logits(valid, slice(None)).numpy()))

    fit(net, losses=losses, measure=measure, schedule=schedule, run=run)
    return net
