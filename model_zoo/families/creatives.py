"""Creatives: which picture of a product for whom, by the picture's vector (after Wang et al., 2021).

The visual prior of their hybrid bandit ranks a picture by its vector v alone, wᵀ v; here somebody's taste t,
the mean of what they had, turns it, and the product's brand e: s(u, a) = tᵀ (W v_a + e_a) + wᵀ v_a + b_a.
b is of the picture alone, learned where it was shown. Trained on clicks by the logistic loss; pictures and
clicks are SYNTHETIC.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from pocketrec.model_zoo.data import creatives, office
from pocketrec.model_zoo.training.loop import Schedule, fit, score_all, shuffled, to_tensors
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=12, patience=4, learning_rate=1e-2, weight_decay=0.3)
BATCH_SIZE = 4096


class Creatives(nn.Module):
    """Log-odds that somebody clicks on a picture."""

    def __init__(self, *, num_items: int, num_pictures: int, num_brands: int, width: int, dim: int) -> None:
        super().__init__()
        self.item_embedding = nn.Embedding(num_items + 1, dim, padding_idx=0)
        self.taste = nn.Linear(dim, dim)
        self.picture = nn.Linear(width, dim, bias=False)  # W
        self.brand_embedding = nn.Embedding(num_brands + 1, dim, padding_idx=0)  # e
        self.prior = nn.Linear(width, 1)  # w
        self.appeal = nn.Embedding(num_pictures + 1, 1, padding_idx=0)  # b
        for table in (self.item_embedding, self.brand_embedding):
            nn.init.normal_(table.weight[1:], std=dim**-0.5)
        nn.init.zeros_(self.appeal.weight)

    def forward(self, history: Tensor, picture: Tensor, brand: Tensor, image: Tensor) -> Tensor:
        """Logits `[B]` of a history `[B, T]`, pictures and brands `[B]`, and vectors `[B, width]`."""
        shown = self.picture(image) + self.brand_embedding(brand)
        fit = (self.taste_of(history) * shown).sum(dim=-1)
        logits: Tensor = fit + self.prior(image).squeeze(-1) + self.appeal(picture).squeeze(-1)
        return logits

    def taste_of(self, history: Tensor) -> Tensor:
        """Somebody's taste, `[B, d]`."""
        embedded = self.item_embedding(history)
        real = (history != 0).unsqueeze(-1).to(embedded.dtype)
        mean = (embedded * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)
        taste: Tensor = self.taste(mean)
        return taste


def model(
    *, num_items: int, num_pictures: int, num_brands: int, width: int = creatives.WIDTH, dim: int = 32
) -> Creatives:
    """A Creatives in eval mode with random weights."""
    return Creatives(
        num_items=num_items, num_pictures=num_pictures, num_brands=num_brands, width=width, dim=dim
    ).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> Creatives:
    """A Creatives trained on drawn clicks, in eval mode; the best epoch by AUC on validation."""
    net = model(
        num_items=len(office.item_vocabulary().tokens) - 1,
        num_pictures=len(creatives.picture_vocabulary().tokens) - 1,
        num_brands=len(creatives.brand_vocabulary().tokens) - 1,
    )
    past, valid = creatives.impressions(split="train"), creatives.impressions(split="valid")
    inputs, clicked = to_tensors(past.inputs), torch.from_numpy(past.labels)

    def losses() -> Iterator[Tensor]:
        for rows in shuffled(len(clicked), BATCH_SIZE, run.rng):
            logits = net(**{name: each[rows] for name, each in inputs.items()})
            yield F.binary_cross_entropy_with_logits(logits, clicked[rows])

    def measure() -> float:
        return float(
            roc_auc_score(valid.labels, score_all(lambda batch: net(**batch), valid.inputs, BATCH_SIZE))
        )

    fit(net, losses=losses, measure=measure, schedule=schedule, run=run)
    return net
