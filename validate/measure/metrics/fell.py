"""The share of users whose own metric fell, which a mean hides where others' rose.

    fell(u) = 1 where m_after(u) is worse than m_before(u) by more than the tolerance, else 0

Equal values are no fall. Source: the negative flips of Yan et al., Positive-congruent training, CVPR
2021, for metrics that are not 0 or 1.
"""

from __future__ import annotations

import numpy as np

from pocketrec.validate.measure.metrics.ranks import Doubles


def fell(
    before: Doubles, after: Doubles, *, lower_is_better: bool = False, tolerance: float = 0.0
) -> Doubles:
    """0 or 1 per user, float64 `[users]`; NaN where either value is NaN."""
    change = before - after if lower_is_better else after - before
    return np.where(np.isnan(change), np.nan, (change < -tolerance).astype(np.float64))
