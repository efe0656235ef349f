"""Top-k overlap: the share of a list's ids that the other list holds too, whatever their order.

    overlap(u) = |A_u ∩ B_u| / max(|A_u|, |B_u|)

-1 stands for nothing; an id that is listed twice counts once; two empty lists overlap wholly. Source: the
overlap at depth k of Fagin, Kumar and Sivakumar, Comparing top k lists, SODA 2003.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.validate.measure.metrics.ranks import Doubles

_CHUNK = 1 << 16  # rows at a time


def top_k_overlap(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> Doubles:
    """The share per row of `[rows, k]`, float64 `[rows]`."""
    cuts = range(0, len(left), _CHUNK)
    parts = [_shares(left[each : each + _CHUNK], right[each : each + _CHUNK]) for each in cuts]
    return np.concatenate(parts) if parts else np.zeros(0)


def _shares(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> Doubles:
    one, two = _distinct(left), _distinct(right)
    together = np.sort(np.concatenate([one, two], axis=1), axis=1)
    common = ((together[:, 1:] == together[:, :-1]) & (together[:, 1:] >= 0)).sum(axis=1)
    longest = np.maximum((one >= 0).sum(axis=1), (two >= 0).sum(axis=1))
    return np.where(longest > 0, common / np.maximum(longest, 1), 1.0)


def _distinct(lists: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Rows sorted, each id once; -1 in place of its repetitions."""
    rows = np.sort(lists, axis=1)
    rows[:, 1:][rows[:, 1:] == rows[:, :-1]] = -1
    return rows
