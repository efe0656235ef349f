"""Intra-list diversity: the mean distance of two items of a list.

    ILD(u) = 1 / (m (m - 1)) Σ_{i ≠ j} (1 - cos(v_i, v_j)), over the m items of the list

Vectors of length zero are at distance 1 from all. NaN for lists of fewer than two items. -1 stands for
nothing. Sources: Smyth and McClave, Similarity vs. diversity, ICCBR 2001; Ziegler et al., Improving
recommendation lists through topic diversification, WWW 2005.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.validate.measure.metrics.ranks import Doubles, Lists

_NUMBERS = 1 << 22  # of vectors at a time


def intra_list_diversity(lists: Lists, vectors: npt.NDArray[Any]) -> Doubles:
    """ILD per row of `[rows, k]`, 0 to 2, float64 `[rows]`.

    Args:
        lists: ids, -1 for nothing.
        vectors: what stands for an item, `[items, columns]`.
    """
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    units = np.divide(vectors, norms, out=np.zeros(vectors.shape), where=norms > 0)
    step = max(1, _NUMBERS // max(1, lists.shape[1] * vectors.shape[1]))
    parts = [_diversity(lists[each : each + step], units) for each in range(0, len(lists), step)]
    return np.concatenate(parts) if parts else np.zeros(0)


def _diversity(lists: Lists, units: Doubles) -> Doubles:
    """By |Σ v|² = Σ |v|² + Σ_{i ≠ j} v_i · v_j, without the pairs."""
    there = lists >= 0
    rows = np.where(there[..., None], units[np.maximum(lists, 0)], 0.0)
    count = there.sum(axis=1)
    pairs = (rows.sum(axis=1) ** 2).sum(axis=1) - (rows**2).sum(axis=(1, 2))
    ordered = count * (count - 1)
    found: Doubles = np.full(len(lists), np.nan)
    np.divide(pairs, ordered, out=found, where=ordered > 0)
    return 1 - found
