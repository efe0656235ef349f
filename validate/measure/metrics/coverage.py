"""Catalogue coverage: the share of the items that stand in some user's list.

    coverage = |∪_u list(u)| / items

A property of all lists together, so there are no values per user. -1 stands for nothing. Source: Ge,
Delgado-Battenfeld and Jannach, Beyond accuracy: evaluating recommender systems by coverage and serendipity,
RecSys 2010.
"""

from __future__ import annotations

import numpy as np

from pocketrec.validate.measure.metrics.ranks import Lists

_CHUNK = 1 << 16  # rows at a time


def catalogue_coverage(lists: Lists, items: int) -> float:
    """The share of `items` items that are listed, 0 to 1; ids are below `items`."""
    listed = np.zeros(max(items, int(lists.max(initial=-1)) + 1), np.bool_)
    for start in range(0, len(lists), _CHUNK):
        part = lists[start : start + _CHUNK]
        listed[part[part >= 0]] = True
    return float(np.count_nonzero(listed) / items)
