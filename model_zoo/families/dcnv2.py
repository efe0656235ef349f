"""DCN-V2: products of features of a bounded degree, beside a deep net (Wang et al., 2021).

x_{l+1} = x_0 ⊙ (W_l x_l + b_l) + x_l (equation 1), x_0 the vectors of all features one after the other; the
last x and the deep net's last layer side by side make the logit (the parallel structure of their figure 1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families.parts.nets import perceptron
from pocketrec.model_zoo.families.parts.rating_features import (
    FEATURES,
    FeatureTables,
    RatingModel,
    table_sizes,
)
from pocketrec.model_zoo.training.loop import Schedule
from pocketrec.model_zoo.training.rated import DROPOUT, SCHEDULE, fit_rated
from pocketrec.model_zoo.training.run import Run


class CrossNetwork(nn.Module):
    """Cross layers, each of which raises the degree of the products by one."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))

    def forward(self, first: Tensor) -> Tensor:
        """x_L `[B, width]` of x_0 `[B, width]`."""
        x = first
        for layer in self.layers:
            x = first * layer(x) + x
        return x


class DCNv2(RatingModel):
    """The probability that a user rates an item 4 or 5."""

    def __init__(
        self, features: FeatureTables, *, dim: int, layers: int, hidden: int, dropout: float
    ) -> None:
        super().__init__(features)
        width = FEATURES * dim
        self.cross = CrossNetwork(width, layers)
        self.deep = perceptron(width, hidden, hidden, dropout=dropout)
        self.out = nn.Linear(width + hidden, 1)
        self.dropout = nn.Dropout(dropout)

    def logits(self, rows: Tensor) -> Tensor:
        """Logits `[B]` from the rows of all features, `[B, FEATURES, dim]`."""
        x = self.dropout(rows).flatten(1)
        total: Tensor = self.out(torch.cat((self.cross(x), self.deep(x)), dim=-1)).squeeze(-1)
        return total


def model(*, dim: int = 16, layers: int = 2, hidden: int = 64, dropout: float = 0.0, **numbers: int) -> DCNv2:
    """A DCN-V2 in eval mode with random weights; `numbers` are `num_users` and so on, without the id 0."""
    features = FeatureTables(table_sizes(numbers), dim)
    return DCNv2(features, dim=dim, layers=layers, hidden=hidden, dropout=dropout).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> DCNv2:
    """A DCN-V2 trained on MovieLens-100K, in eval mode; the best epoch by AUC on validation."""
    net = model(**movielens.feature_numbers(), dropout=DROPOUT)
    fit_rated(net, run=run, schedule=schedule)
    return net
