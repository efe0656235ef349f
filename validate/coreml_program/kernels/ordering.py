"""Kernels that rank: argsort, topk. Equal values keep the order of their indices; NaN comes last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ExecutionError

Array = npt.NDArray[Any]

# Rows at least this wide are thinned by the maxima of chunks before anything is sorted.
_WIDE = 8192
_CHUNK = 512


def _reversed(x: Array) -> Array:
    """Values that sort the other way round; `~` cannot overflow where `-` would."""
    return -x if x.dtype.kind == "f" else ~x


def argsort(x: Array, axis: Any = -1, ascending: bool = False) -> Array:
    """The indices (int32) that sort `x` along `axis`, by default from the largest value on."""
    keys = x if ascending else _reversed(x)
    return np.argsort(keys, axis=int(axis), kind="stable").astype(np.int32)


def topk(
    x: Array,
    k: Any = 1,
    axis: Any = -1,
    ascending: bool = False,
    sort: bool = True,
    return_indices: bool = True,
    output_indices_dtype: str = "int32",
) -> Any:
    """(values, indices) of the `k` largest along `axis`, or smallest if `ascending`; -1 takes all.

    Sorted also where `sort` leaves the order open, so that results repeat. Indices declared uint16
    wrap from 65,536 on. Only values are returned where `return_indices` is false.
    """
    size = x.shape[int(axis)]
    count = size if int(k) == -1 else int(k)
    if not 0 <= count <= size:
        raise ExecutionError(f"k {count} is outside 0..{size}, the size of axis {int(axis)}")
    rows = np.ascontiguousarray(np.moveaxis(x, int(axis), -1))
    keys = _reversed(rows) if ascending else rows
    places = np.moveaxis(_largest(keys, count), -1, int(axis))
    values = np.take_along_axis(x, places, axis=int(axis))
    return (values, places.astype(str(output_indices_dtype))) if return_indices else values


def _largest(rows: Array, count: int) -> Array:
    """The places of the `count` largest of the last axis, the largest first."""
    if rows.shape[-1] < _WIDE or count > rows.shape[-1] // (4 * _CHUNK):
        return np.argsort(_reversed(rows), axis=-1, kind="stable")[..., :count]
    flat = rows.reshape(-1, rows.shape[-1])
    found = np.empty((len(flat), count), dtype=np.intp)
    for row, places in zip(flat, found, strict=True):
        places[:] = _largest_of_row(row, count)
    return found.reshape(*rows.shape[:-1], count)


def _largest_of_row(row: Array, count: int) -> Array:
    if count == 0:
        return np.empty(0, dtype=np.intp)
    chunks = len(row) // _CHUNK
    peaks = row[: chunks * _CHUNK].reshape(chunks, _CHUNK).max(axis=1)
    # `count` chunks hold a value of at least `floor`, so nothing below it can be among the largest.
    floor = np.partition(peaks, chunks - count)[chunks - count]
    places = np.flatnonzero(row >= floor)
    if np.isnan(peaks.max()) or len(places) < count:
        return np.argsort(_reversed(row), kind="stable")[:count]
    values = row[places]
    if len(values) > count:
        last = np.partition(values, len(values) - count)[len(values) - count]
        above = np.flatnonzero(values > last)
        chosen = np.concatenate([above, np.flatnonzero(values == last)[: count - len(above)]])
        places, values = places[chosen], values[chosen]
    return places[np.argsort(_reversed(values), kind="stable")]


KERNELS: dict[str, Callable[..., Any]] = {"argsort": argsort, "topk": topk}
