"""Ranks of scores within groups, equal scores sharing the mean of theirs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


def mid_ranks(values: npt.NDArray[Any], groups: npt.NDArray[Any] | None = None) -> Doubles:
    """The rank of each value within its group from 1, float64 `[rows]`; see Kendall 1945.

    Args:
        values: without NaN, `[rows]`.
        groups: whole numbers `[rows]`; one group by default.
    """
    keys = np.zeros(len(values), np.int64) if groups is None else groups
    order = np.lexsort((values, keys))
    by_key, by_value = keys[order], values[order]
    new_group = np.flatnonzero(np.r_[True, by_key[1:] != by_key[:-1]])
    new_run = np.flatnonzero(np.r_[True, (by_key[1:] != by_key[:-1]) | (by_value[1:] != by_value[:-1])])
    ends = np.r_[new_run[1:], len(values)]
    starts = new_group[np.searchsorted(new_group, new_run, side="right") - 1]
    middles = (new_run + ends + 1) / 2 - starts
    found = np.empty(len(values))
    found[order] = np.repeat(middles, ends - new_run)
    return found
