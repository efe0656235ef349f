"""Recall@k: the share of the user's relevant items that are among the k best.

    Recall@k(u) = |{i : rank(u, i) < k}| / relevant(u), rank from 0

With one relevant item it is HR@k. Ties: as in `ranks`. Source: Cleverdon, Mills and Keen, Factors
determining the performance of indexing systems, 1966.
"""

from __future__ import annotations

from pocketrec.validate.measure.metrics.ranks import Doubles, Ranks


def recall(ranks: Ranks, k: int) -> Doubles:
    """0 to 1 per user, float64 `[users]`; NaN where the user could not be ranked."""
    return ranks.clear((ranks.places < k).sum(axis=1) / ranks.relevant)
