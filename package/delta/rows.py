"""Rows of a table that changed: which they are, and their numbers as what they were and what became of them.

    old rows, new rows ─▶ runs of changed rows · their changes, byte by byte of a number ─▶ new rows

A change is the new bytes (`replace`), the bits that flipped (`xor`), or the difference of the numbers as
whole numbers, small ones of either sign first (`difference`). Lowest bytes of all numbers come first, then
the next ones, so that DEFLATE meets like bytes together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ArtifactError
from pocketrec.package.delta.varints import Bytes, from_varints, to_varint, to_varints

REPLACE, XOR, DIFFERENCE = 0, 1, 2
HALVES = 0  # the width of numbers of four bits, two in a byte
WIDTHS = (HALVES, 1, 2, 4, 8)
_WHOLE: dict[int, np.dtype[Any]] = {each: np.dtype(f"<u{each}") for each in (1, 2, 4, 8)}

Mask = npt.NDArray[np.bool_]


def to_payload(old: Bytes, new: Bytes, unit: int, change: int, width: int, changed: Mask) -> bytes:
    """Runs of changed units, and their changes.

    Args:
        old: bytes, as many as `new`.
        new: a multiple of `unit`.
        unit: bytes of a row; a multiple of the width.
        change: one of REPLACE, XOR and DIFFERENCE.
        width: bytes of a number, or HALVES.
        changed: which units changed; others are equal.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], changed.astype(np.int8), [0]])))
    starts, ends = edges[::2], edges[1::2]
    gaps = starts - np.concatenate([[0], ends[:-1]]) if len(starts) else starts
    values = _changes(old.reshape(-1, unit)[changed], new.reshape(-1, unit)[changed], change, width)
    runs = to_varints(np.concatenate([gaps, ends - starts]))
    return to_varint(len(starts)) + runs + _planes(values, width).tobytes()


def from_payload(old: Bytes, payload: Bytes, unit: int, change: int, width: int) -> Bytes:
    """The new rows; ArtifactError where the payload does not fit the old ones."""
    (count,), at = from_varints(payload, 1)
    if count > len(old) // unit:
        raise ArtifactError("there are more runs than rows")
    numbers, size = from_varints(payload[at:], 2 * int(count))
    gaps, lengths = numbers[:count], numbers[count:]
    if numbers.size and int(numbers.max()) > len(old):
        raise ArtifactError("a run ends beyond the rows")
    ends = np.cumsum(gaps + lengths)
    if count and int(ends[-1]) * unit > len(old):
        raise ArtifactError("a run ends beyond the rows")
    chosen = _chosen(ends - lengths, ends, len(old) // unit)
    planes = payload[at + size :]
    if len(planes) != int(np.count_nonzero(chosen)) * unit:
        raise ArtifactError("the changes are not those of its rows")
    new = old.copy()
    rows = new.reshape(-1, unit)
    rows[chosen] = _changed(rows[chosen], _numbers(planes, width), change, width)
    return new


def _chosen(starts: npt.NDArray[Any], ends: npt.NDArray[Any], rows: int) -> Mask:
    steps = np.zeros(rows + 1, np.int64)
    np.add.at(steps, starts, 1)
    np.add.at(steps, ends, -1)
    return np.cumsum(steps[:-1]) > 0


def _changes(old: Bytes, new: Bytes, change: int, width: int) -> Bytes:
    old, new = np.ascontiguousarray(old).reshape(-1), np.ascontiguousarray(new).reshape(-1)
    if change == REPLACE:
        return new
    if change == XOR:
        return new ^ old
    if width == HALVES:
        low, high = (new & 15) - (old & 15), (new >> 4) - (old >> 4)
        return ((low & 15) | ((high & 15) << 4)).astype(np.uint8)
    kind = _WHOLE[width]
    step = new.view(kind) - old.view(kind)
    top = kind.type(8 * width - 1)
    signs = kind.type(0) - (step >> top)
    return np.asarray((step << kind.type(1)) ^ signs, kind).view(np.uint8)


def _changed(old: Bytes, changes: Bytes, change: int, width: int) -> Bytes:
    shape, old = old.shape, np.ascontiguousarray(old).reshape(-1)
    if change == REPLACE:
        return changes.reshape(shape)
    if change == XOR:
        return (changes ^ old).reshape(shape)
    if width == HALVES:
        low, high = (old & 15) + (changes & 15), (old >> 4) + (changes >> 4)
        return ((low & 15) | ((high & 15) << 4)).astype(np.uint8).reshape(shape)
    kind = _WHOLE[width]
    given, one = changes.view(kind), kind.type(1)
    step = (given >> one) ^ (kind.type(0) - (given & one))
    return np.asarray(old.view(kind) + step, kind).view(np.uint8).reshape(shape)


def _planes(values: Bytes, width: int) -> Bytes:
    return values.reshape(-1, width or 1).T.reshape(-1)


def _numbers(planes: Bytes, width: int) -> Bytes:
    return np.ascontiguousarray(planes.reshape(width or 1, -1).T).reshape(-1)
