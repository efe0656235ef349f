"""Kendall's tau-b: concordant less discordant pairs of two rows of scores, ties corrected for.

    τ_b = (C - D) / √((n0 - n1) (n0 - n2)), n0 = n (n - 1) / 2, n1 and n2 the pairs tied in either row

NaN where a row is all one value. Of two lists, the items of the first are scored by their places in either;
those that the second lacks share the place after its last. Source: Kendall, The treatment of ties in
ranking problems, Biometrika 1945.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
_CELLS = 1 << 22  # pairs at a time


def kendall_tau(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> Doubles:
    """τ_b of each row of `[rows, n]`, -1 to 1, float64 `[rows]`; time grows by n²."""
    size = left.shape[1]
    one, two = np.triu_indices(size, 1)
    step = max(1, _CELLS // max(1, len(one)))
    cuts = range(0, len(left), step)
    parts = [_tau(left[each : each + step], right[each : each + step], one, two) for each in cuts]
    return np.concatenate(parts) if parts else np.zeros(0)


def _tau(left: npt.NDArray[Any], right: npt.NDArray[Any], one: Any, two: Any) -> Doubles:
    a = np.sign(left[:, one].astype(np.float64) - left[:, two])
    b = np.sign(right[:, one].astype(np.float64) - right[:, two])
    untied = np.abs(a).sum(axis=1) * np.abs(b).sum(axis=1)
    found: Doubles = np.full(len(a), np.nan)
    np.divide((a * b).sum(axis=1), np.sqrt(untied), out=found, where=untied != 0)
    return found


def list_tau(before: npt.NDArray[Any], after: npt.NDArray[Any]) -> Doubles:
    """τ_b of the places of each list's items in both lists of `[rows, k]`, float64 `[rows]`; -1 is nothing.

    NaN where the list has fewer than two items, or the other list none of them.
    """
    step = max(1, _CELLS // max(1, before.shape[1] * after.shape[1]))
    parts = []
    for first in range(0, len(before), step):
        one, two = before[first : first + step], after[first : first + step]
        there = (one[:, :, None] == two[:, None, :]) & (one[:, :, None] >= 0)
        places = np.where(there.any(axis=2), there.argmax(axis=2), after.shape[1])
        own = np.where(one >= 0, np.arange(before.shape[1]), before.shape[1])
        parts.append(kendall_tau(own, places))
    return np.concatenate(parts) if parts else np.zeros(0)
