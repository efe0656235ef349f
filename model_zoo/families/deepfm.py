"""DeepFM: a factorization machine and a deep net over the same vectors (Guo et al., 2017).

ŷ = σ(y_FM + y_DNN) with y_FM = Σ_i w_i + Σ_{i<j} ⟨v_i, v_j⟩ (equations 1 and 2), where the sum of all
pairs is ½ (‖Σ_i v_i‖² − Σ_i ‖v_i‖²) (Rendle, 2010).
"""

from __future__ import annotations

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


class DeepFM(RatingModel):
    """The probability that a user rates an item 4 or 5; the last column of a row is the weight w."""

    def __init__(self, features: FeatureTables, *, dim: int, hidden: int, dropout: float) -> None:
        super().__init__(features)
        self.dim = dim
        self.deep = scorer(FEATURES * dim, hidden, hidden, dropout=dropout)
        self.dropout = nn.Dropout(dropout)

    def logits(self, rows: Tensor) -> Tensor:
        """Logits `[B]` from the rows of all features, `[B, FEATURES, dim + 1]`."""
        vectors, weights = rows[..., : self.dim], rows[..., self.dim]
        square_of_sum, sum_of_squares = vectors.sum(dim=1).square(), vectors.square().sum(dim=1)
        pairs = 0.5 * (square_of_sum - sum_of_squares).sum(dim=-1)
        total: Tensor = weights.sum(dim=1) + pairs + self.deep(self.dropout(vectors).flatten(1)).squeeze(-1)
        return total


def model(*, dim: int = 16, hidden: int = 64, dropout: float = 0.0, **numbers: int) -> DeepFM:
    """A DeepFM in eval mode with random weights; `numbers` are `num_users` and so on, without the id 0."""
    features = FeatureTables(table_sizes(numbers), dim + 1)
    return DeepFM(features, dim=dim, hidden=hidden, dropout=dropout).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> DeepFM:
    """A DeepFM trained on MovieLens-100K, in eval mode; the best epoch by AUC on validation."""
    net = model(**movielens.feature_numbers(), dropout=DROPOUT)
    fit_rated(net, run=run, schedule=schedule)
    return net
