"""Catalogue coverage: the share of the items that stand in some user's list.

    coverage = |∪_u list(u)| / items

A property of all lists together, so there are no values per user. -1 stands for nothing. Source: Ge,
Delgado-Battenfeld and Jannach, Beyond accuracy: evaluating recommender systems by coverage and serendipity,
RecSys 2010.
"""

from __future__ import annotations

import numpy as np

from pocketrec.validate.measure.metrics.ranks import Ids


def catalogue_coverage(lists: Ids, items: int) -> float:
    """The share of `items` items that are listed, 0 to 1; ids are below `items`."""
    return float(np.count_nonzero(np.bincount(lists[lists >= 0], minlength=items)) / items)
