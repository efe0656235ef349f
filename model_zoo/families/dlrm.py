"""DLRM: the probability of a high rating from who, what and when (Naumov et al., 2019).

Each feature becomes a vector; the products of all pairs, beside the vectors themselves, go through
a small net; the products' sum and a bias per id go around it, as in DeepFM (Guo et al., 2017).
Ages and years are categories here, so there is no bottom net for dense features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pocketrec.model_zoo.data import movielens
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


class DLRM(RatingModel):
    """The probability that a user rates an item 4 or 5.

    A feature's table has a row of `dim` for the products and a last column that adds to the logit
    by itself, so that a frequent id's bias needs no product to express it.
    """

    pairs: Tensor

    def __init__(self, features: FeatureTables, *, dim: int, hidden: int, dropout: float) -> None:
        super().__init__(features)
        self.dim = dim
        row, column = torch.tril_indices(FEATURES, FEATURES, offset=-1)
        self.register_buffer("pairs", row * FEATURES + column, persistent=False)
        self.top = scorer(FEATURES * dim + len(row), hidden, hidden // 2, dropout=dropout)
        self.dropout = nn.Dropout(dropout)

    def logits(self, rows: Tensor) -> Tensor:
        """Logits `[B]` from the rows of all features, `[B, FEATURES, dim + 1]`."""
        vectors = self.dropout(rows[..., : self.dim])
        products = (vectors @ vectors.transpose(1, 2)).flatten(1)[:, self.pairs]
        deep = self.top(torch.cat((vectors.flatten(1), products), dim=-1)).squeeze(-1)
        total: Tensor = deep + products.sum(dim=-1) + rows[..., self.dim].sum(dim=-1)
        return total


def model(*, dim: int = 16, hidden: int = 64, dropout: float = 0.0, **numbers: int) -> DLRM:
    """A DLRM in eval mode with random weights; `numbers` are `num_users` and so on, without the id 0."""
    features = FeatureTables(table_sizes(numbers), dim + 1)
    return DLRM(features, dim=dim, hidden=hidden, dropout=dropout).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> DLRM:
    """A DLRM trained on MovieLens-100K, in eval mode; the best epoch by AUC on validation."""
    net = model(**movielens.feature_numbers(), dropout=DROPOUT)
    fit_rated(net, run=run, schedule=schedule)
    return net
