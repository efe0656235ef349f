"""FinalMLP: two nets that see the features through own gates, and products of both (Mao et al., 2023).

Stream i: h_i = 2σ(gate_i(x_i)) ⊙ e, o_i = MLP_i(h_i), with x_1 of the user and x_2 of the item (equations 5
and 6). Fusion: b + w_1·o_1 + w_2·o_2 + Σ_k o_{1,k}ᵀ W_k o_{2,k}, both o cut into k pieces (equations 7 to 9).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families.parts.nets import perceptron, projector
from pocketrec.model_zoo.families.parts.rating_features import (
    COLUMNS,
    FEATURES,
    FeatureTables,
    RatingModel,
    table_sizes,
)
from pocketrec.model_zoo.training.loop import Schedule
from pocketrec.model_zoo.training.rated import DROPOUT, SCHEDULE, fit_rated
from pocketrec.model_zoo.training.run import Run

SEEN_BY = (COLUMNS.index("user"), COLUMNS.index("item"))  # the feature that each stream's gate looks at


class FeatureGate(nn.Module):
    """How much of every number of all features a stream lets through, around 1."""

    def __init__(self, dim: int, hidden: int, width: int) -> None:
        super().__init__()
        self.net = projector(dim, hidden, width)

    def forward(self, seen: Tensor, everything: Tensor) -> Tensor:
        """`everything` `[B, width]`, gated by what is `seen` `[B, dim]`."""
        gated: Tensor = 2 * torch.sigmoid(self.net(seen)) * everything
        return gated


class BilinearFusion(nn.Module):
    """One number from two vectors: what each says, and their products piece by piece."""

    def __init__(self, width: int, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces
        self.first, self.second = nn.Linear(width, 1), nn.Linear(width, 1, bias=False)
        self.products = nn.Parameter(torch.empty(pieces, width // pieces, width // pieces))
        nn.init.xavier_normal_(self.products)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Logits `[B]` of two vectors `[B, width]`."""
        left, right = (each.reshape(len(each), self.pieces, 1, -1) for each in (first, second))
        products = (left @ self.products * right).flatten(1).sum(dim=-1)
        total: Tensor = (self.first(first) + self.second(second)).squeeze(-1) + products
        return total


class FinalMLP(RatingModel):
    """The probability that a user rates an item 4 or 5."""

    def __init__(
        self, features: FeatureTables, *, dim: int, gate: int, hidden: int, pieces: int, dropout: float
    ) -> None:
        super().__init__(features)
        width = FEATURES * dim
        self.gates = nn.ModuleList(FeatureGate(dim, gate, width) for _ in SEEN_BY)
        self.streams = nn.ModuleList(perceptron(width, hidden, hidden, dropout=dropout) for _ in SEEN_BY)
        self.fusion = BilinearFusion(hidden, pieces)
        self.dropout = nn.Dropout(dropout)

    def logits(self, rows: Tensor) -> Tensor:
        """Logits `[B]` from the rows of all features, `[B, FEATURES, dim]`."""
        rows = self.dropout(rows)
        everything = rows.flatten(1)
        parts = zip(self.gates, self.streams, SEEN_BY, strict=True)
        outs = [stream(gate(rows[:, place], everything)) for gate, stream, place in parts]
        total: Tensor = self.fusion(*outs)
        return total


def model(
    *,
    dim: int = 16,
    gate: int = 32,
    hidden: int = 64,
    pieces: int = 4,
    dropout: float = 0.0,
    **numbers: int,
) -> FinalMLP:
    """A FinalMLP in eval mode with random weights; `numbers` are `num_users` and so on, without the id 0."""
    features = FeatureTables(table_sizes(numbers), dim)
    return FinalMLP(features, dim=dim, gate=gate, hidden=hidden, pieces=pieces, dropout=dropout).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> FinalMLP:
    """A FinalMLP trained on MovieLens-100K, in eval mode; the best epoch by AUC on validation."""
    net = model(**movielens.feature_numbers(), dropout=DROPOUT)
    fit_rated(net, run=run, schedule=schedule)
    return net
