"""AP@k, whose mean over users is MAP@k: precision at the place of each relevant item that was found.

    AP@k(u) = Σ_{j-th relevant item at rank r_j < k} j / (r_j + 1) / min(k, relevant(u))

where j counts from 1 and ranks from 0. A user with more relevant items than k can reach 1. With one relevant
item it is RR@k. Ties: as in `ranks`. Source: Buckley and Voorhees, Evaluating evaluation measure stability,
SIGIR 2000; cut at k as in Kaggle's MAP@k.
"""

from __future__ import annotations

import numpy as np

from pocketrec.validate.measure.metrics.ranks import Doubles, Ranks


def average_precision(ranks: Ranks, k: int) -> Doubles:
    """0 to 1 per user, float64 `[users]`; NaN where the user could not be ranked."""
    order = np.arange(1, ranks.places.shape[1] + 1)
    precisions = np.where(ranks.places < k, order / (ranks.places + 1), 0.0).sum(axis=1)
    return ranks.clear(precisions / np.minimum(ranks.relevant, k))
