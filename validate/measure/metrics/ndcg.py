"""NDCG@k: the gain of the relevant items found, discounted by place, as a share of the best order's.

    DCG@k(u) = Σ_i [rank(u, i) < k] / log2(rank(u, i) + 2), rank from 0
    NDCG@k(u) = DCG@k(u) / Σ_{r < min(k, relevant(u))} 1 / log2(r + 2)

Gains are binary. Ties: as in `ranks`. Source: Järvelin and Kekäläinen, Cumulated gain-based evaluation of
IR techniques, ACM TOIS 2002.
"""

from __future__ import annotations

import numpy as np

from pocketrec.validate.measure.metrics.ranks import Doubles, Ranks


def ndcg(ranks: Ranks, k: int) -> Doubles:
    """0 to 1 per user, float64 `[users]`; NaN where the user could not be ranked."""
    found = ranks.places < k
    gains = np.where(found, 1 / np.log2(np.where(found, ranks.places, 0) + 2), 0.0).sum(axis=1)
    most = int(min(k, ranks.relevant.max(initial=1)))
    best = np.cumsum(1 / np.log2(np.arange(most) + 2))
    return ranks.clear(gains / best[np.minimum(ranks.relevant, most) - 1])
