"""AutoInt: features that attend to each other make their own products (Song et al., 2019).

ẽ_m = ⊕_h Σ_k α_{m,k} W_V e_k with α = softmax_k ⟨W_Q e_m, W_K e_k⟩, and e'_m = ReLU(ẽ_m + W_Res e_m)
(equations 5 to 8); a deep net beside it, as in their AutoInt+.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families.parts.attention import split_heads
from pocketrec.model_zoo.families.parts.nets import scorer
from pocketrec.model_zoo.families.parts.rating_features import (
    FEATURES,
    FeatureTables,
    RatingModel,
    table_sizes,
)
from pocketrec.model_zoo.training.loop import Schedule
from pocketrec.model_zoo.training.rated import DROPOUT, SCHEDULE, fit_rated
from pocketrec.model_zoo.training.run import Run


class InteractingLayer(nn.Module):
    """Multi-head self-attention over features, without scaling, with a projected residual."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.residual = (nn.Linear(dim, dim, bias=False) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """The features' new vectors `[B, F, d]` from `x` `[B, F, d]`."""
        query, key, value = (
            split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value)
        )
        weights = torch.softmax(query @ key.transpose(-2, -1), dim=-1)
        mixed = (weights @ value).transpose(1, 2).flatten(2)
        return torch.relu(mixed + self.residual(x))


class AutoInt(RatingModel):
    """The probability that a user rates an item 4 or 5."""

    def __init__(
        self, features: FeatureTables, *, dim: int, heads: int, layers: int, hidden: int, dropout: float
    ) -> None:
        super().__init__(features)
        self.interacting = nn.Sequential(*(InteractingLayer(dim, heads) for _ in range(layers)))
        self.out = nn.Linear(FEATURES * dim, 1)
        self.deep = scorer(FEATURES * dim, hidden, hidden, dropout=dropout)
        self.dropout = nn.Dropout(dropout)

    def logits(self, rows: Tensor) -> Tensor:
        """Logits `[B]` from the rows of all features, `[B, FEATURES, dim]`."""
        x = self.dropout(rows)
        total: Tensor = self.out(self.interacting(x).flatten(1)) + self.deep(x.flatten(1))
        return total.squeeze(-1)


def model(
    *,
    dim: int = 16,
    heads: int = 2,
    layers: int = 2,
    hidden: int = 64,
    dropout: float = 0.0,
    **numbers: int,
) -> AutoInt:
    """An AutoInt in eval mode with random weights; `numbers` are `num_users` and so on, without the id 0."""
    features = FeatureTables(table_sizes(numbers), dim)
    return AutoInt(features, dim=dim, heads=heads, layers=layers, hidden=hidden, dropout=dropout).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> AutoInt:
    """An AutoInt trained on MovieLens-100K, in eval mode; the best epoch by AUC on validation."""
    net = model(**movielens.feature_numbers(), dropout=DROPOUT)
    fit_rated(net, run=run, schedule=schedule)
    return net
