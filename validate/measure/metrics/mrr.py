"""MRR@k: the inverse of the place of the first relevant item.

    RR@k(u) = 1 / (1 + min_i rank(u, i)) if that rank is below k, else 0, rank from 0

Ties: as in `ranks`. Source: Voorhees, The TREC-8 question answering track report, 1999.
"""

from __future__ import annotations

import numpy as np

from pocketrec.validate.measure.metrics.ranks import Doubles, Ranks


def mrr(ranks: Ranks, k: int) -> Doubles:
    """0 to 1 per user, float64 `[users]`; NaN where the user could not be ranked."""
    first = ranks.places.min(axis=1)
    return ranks.clear(np.where(first < k, 1 / (first + 1), 0.0))
