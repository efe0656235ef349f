"""GAUC: AUC within each user, weighted by the user's rows.

    GAUC = Σ_u rows_u AUC_u / Σ_u rows_u, over users with rows of both labels

Users of one label have no AUC and are left out. Ties count one half. Sources: Zhu et al., Optimized
cost per click in Taobao display advertising, KDD 2017; Zhou et al., Deep interest network, KDD 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.validate.measure.metrics.ties import Doubles, mid_ranks


@dataclass(frozen=True, slots=True, kw_only=True)
class UserAucs:
    """AUC per user.

    Attributes:
        users: those with both labels, in rising order.
        values: AUC of each, float64.
        rows: of each, float64.
    """

    users: npt.NDArray[Any]
    values: Doubles
    rows: Doubles

    def mean(self) -> float:
        """GAUC; NaN where no user has both labels."""
        return float(np.average(self.values, weights=self.rows)) if len(self.rows) else float("nan")

    def weighted(self, values: Doubles) -> Doubles:
        """Values per user whose mean is the mean of `values` by rows, and whose spread is that mean's over
        draws of users, to first order:  v_u = m + rows_u / mean rows · (value_u - m).
        """
        middle = np.average(values, weights=self.rows) if len(values) else np.nan
        found: Doubles = middle + self.rows / max(self.rows.mean(), 1.0) * (values - middle)
        return found


def user_aucs(scores: npt.NDArray[Any], labels: npt.NDArray[Any], users: npt.NDArray[Any]) -> UserAucs:
    """AUC of every user who has rows of both labels; NaN throughout where a score is not finite.

    Args:
        scores: `[rows]`.
        labels: 0 or 1, `[rows]`.
        users: whose row it is, `[rows]`; of anything that can be sorted.
    """
    names, owner = np.unique(users, return_inverse=True)
    positive = (labels == 1).astype(np.float64)
    rows = np.bincount(owner, minlength=len(names)).astype(np.float64)
    ones = np.bincount(owner, positive, minlength=len(names))
    both = (ones > 0) & (ones < rows)
    if not np.isfinite(scores).all():
        return UserAucs(users=names[both], values=np.full(int(both.sum()), np.nan), rows=rows[both])
    sums = np.bincount(owner, positive * mid_ranks(scores, owner), minlength=len(names))[both]
    mine, others = ones[both], rows[both] - ones[both]
    values = (sums - mine * (mine + 1) / 2) / (mine * others)  # Mann and Whitney's U of their product
    return UserAucs(users=names[both], values=values, rows=rows[both])
