"""A DLRM with tables that are smaller than their vocabularies, in rows and in columns.

Rows: id x has the row W_q[x div m] ⊙ W_r[x mod m] (Shi et al., 2020, "Compositional Embeddings Using
Complementary Partitions", equation 4), so m + ⌈n / m⌉ rows tell n ids apart. Columns: a table of n rows is
d_n = d (n_0 / n)^α wide, n_0 the rows of a table of full width, and a matrix makes its rows d wide (Ginart
et al., 2019, "Mixed Dimension Embeddings", algorithm 1 with p = 1 / n).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families import dlrm
from pocketrec.model_zoo.families.parts.rating_features import (
    FeatureTables,
    Table,
    plain_table,
    table_sizes,
)
from pocketrec.model_zoo.training.loop import Schedule
from pocketrec.model_zoo.training.rated import DROPOUT, SCHEDULE, fit_rated
from pocketrec.model_zoo.training.run import Run


class QuotientRemainder(nn.Module):
    """A row of `dim` for each of `rows` ids, of which `collisions` share a row of the larger table."""

    def __init__(self, rows: int, dim: int, collisions: int) -> None:
        super().__init__()
        self.remainders = -(-rows // collisions)
        self.quotient = nn.Embedding(-(-rows // self.remainders), dim)
        self.remainder = plain_table(self.remainders, dim)
        nn.init.normal_(self.quotient.weight, mean=1.0, std=0.1)  # at first, those that collide are alike

    def forward(self, ids: Tensor) -> Tensor:
        """Rows `[..., dim]` of ids `[...]`, computed in the dtype of the ids."""
        quotient = torch.div(ids, self.remainders, rounding_mode="floor")
        rows: Tensor = self.quotient(quotient) * self.remainder(ids % self.remainders)
        return rows


def small_table(*, collisions: int, full: int, alpha: float) -> Table:
    """What makes tables of more than `full` rows of fewer rows, and of fewer columns the more rows they have.

    Args:
        collisions: how many ids share a row of the remainders' table.
        full: rows up to which a table is whole.
        alpha: how fast the width falls with the rows.
    """

    def table(rows: int, dim: int) -> nn.Module:
        if rows <= full:
            return plain_table(rows, dim)
        width = max(1, round(dim * (full / rows) ** alpha))
        return nn.Sequential(QuotientRemainder(rows, width, collisions), nn.Linear(width, dim, bias=False))

    return table


def model(
    *,
    dim: int = 16,
    hidden: int = 64,
    collisions: int = 4,
    full: int = 30,
    alpha: float = 0.15,
    dropout: float = 0.0,
    **numbers: int,
) -> dlrm.DLRM:
    """A DLRM with small tables in eval mode with random weights; `numbers` are `num_users` and so on."""
    table = small_table(collisions=collisions, full=full, alpha=alpha)
    features = FeatureTables(table_sizes(numbers), dim + 1, table)
    return dlrm.DLRM(features, dim=dim, hidden=hidden, dropout=dropout).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> dlrm.DLRM:
    """The model trained on MovieLens-100K, in eval mode; the best epoch by AUC on validation."""
    net = model(**movielens.feature_numbers(), dropout=DROPOUT)
    fit_rated(net, run=run, schedule=schedule)
    return net
