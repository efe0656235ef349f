"""Popularity of lists, and how it shifts from one model to another.

    popularity(u) = mean_{i in list(u)} count_i / users
    shift = (mean_u popularity_after(u) - mean_u popularity_before(u)) / mean_u popularity_before(u)

NaN for an empty list. -1 stands for nothing. Sources: Yin et al., Challenging the long tail recommendation,
VLDB 2012 (average recommendation popularity); Abdollahpouri et al., The unfairness of popularity bias in
recommendation, 2019 (the lift, there against the user's own history).
"""

from __future__ import annotations

import numpy as np

from pocketrec.validate.measure.metrics.ranks import Doubles, Ids, Lists

_CHUNK = 1 << 16  # rows at a time


def list_popularity(lists: Lists, counts: Ids, users: int) -> Doubles:
    """The mean share of users who have had an item of the list, per row of `[rows, k]`, float64 `[rows]`."""
    return mean_of_lists(lists, counts / users)


def popularity_shift(before: Doubles, after: Doubles) -> float | None:
    """The relative change of the users' mean; None where it was 0 before."""
    base = float(before.mean()) if len(before) else 0.0
    return float(after.mean()) / base - 1 if base else None


def mean_of_lists(lists: Lists, values: Doubles) -> Doubles:
    """The mean of the items' `values` over each list, float64 `[rows]`; NaN where a list is empty."""
    parts = [_means(lists[each : each + _CHUNK], values) for each in range(0, len(lists), _CHUNK)]
    return np.concatenate(parts) if parts else np.zeros(0)


def _means(lists: Lists, values: Doubles) -> Doubles:
    there = lists >= 0
    sums = np.where(there, values[np.maximum(lists, 0)], 0.0).sum(axis=1)
    count = there.sum(axis=1)
    found: Doubles = np.full(len(lists), np.nan)
    np.divide(sums, count, out=found, where=count > 0)
    return found
