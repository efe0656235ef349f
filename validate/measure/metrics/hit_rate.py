"""HR@k: whether one of the user's relevant items is among the k best.

    HR@k(u) = 1 if min_i rank(u, i) < k else 0, rank from 0

Ties: as in `ranks`. Source: Deshpande and Karypis, Item-based top-N recommendation algorithms, ACM TOIS
2004 (there called recall, of one held-out item).
"""

from __future__ import annotations

import numpy as np

from pocketrec.validate.measure.metrics.ranks import Doubles, Ranks


def hit_rate(ranks: Ranks, k: int) -> Doubles:
    """0 or 1 per user, float64 `[users]`; NaN where the user could not be ranked."""
    return ranks.clear(np.any(ranks.places < k, axis=1))
