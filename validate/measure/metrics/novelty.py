"""Novelty: how surprising the items of a list are, by how few users have had them.

    novelty(u) = mean_{i in list(u)} -log2(max(1, count_i) / users)

An item that nobody has had counts as one that one user has had. NaN for an empty list. -1 stands for
nothing. Sources: Zhou et al., Solving the apparent diversity-accuracy dilemma, PNAS 2010
(self-information); Castells, Vargas and Wang, Novelty and diversity metrics for recommender systems,
2011.
"""

from __future__ import annotations

import numpy as np

from pocketrec.validate.measure.metrics.popularity import mean_of_lists
from pocketrec.validate.measure.metrics.ranks import Doubles, Ids, Lists


def novelty(lists: Lists, counts: Ids, users: int) -> Doubles:
    """Bits per item of each row of `[rows, k]`, float64 `[rows]`.

    Args:
        lists: ids, -1 for nothing.
        counts: how many users have had each item, `[items]`.
        users: how many users there are.
    """
    return mean_of_lists(lists, -np.log2(np.maximum(counts, 1) / users))
