"""Rows of a table that changed: which they are, and their numbers as what they were and what became of them.

    old rows, new rows ─▶ runs of changed rows · their changes, byte by byte of a number ─▶ new rows

A change is the new bytes (`replace`), the bits that flipped (`xor`), or the difference of the numbers as
whole numbers, small ones of either sign first (`difference`). Lowest bytes of all numbers come first, then
the next ones, so that DEFLATE meets like bytes together. Codes of which most stayed or moved by one level
take five to a byte (`steps`), as DEFLATE spends a bit at least on each byte.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ArtifactError
from pocketrec.package.delta.varints import Bytes, Whole, from_varints, to_varint, to_varints

REPLACE, XOR, DIFFERENCE, STEPS = 0, 1, 2, 3
HALVES = 0  # the width of numbers of four bits, two in a byte
WIDTHS = (HALVES, 1, 2, 4, 8)
_WHOLE: dict[int, np.dtype[Any]] = {each: np.dtype(f"<u{each}") for each in (1, 2, 4, 8)}

_POWERS = np.array([1, 3, 9, 27, 81], np.int64)  # of the five digits in a byte
_ESCAPE = 243  # five steps of which one is larger; they stand at the end

Mask = npt.NDArray[np.bool_]


def to_payload(old: Bytes, new: Bytes, unit: int, change: int, width: int, changed: Mask) -> bytes:
    """Runs of changed units, and their changes.

    Args:
        old: bytes, as many as `new`.
        new: a multiple of `unit`.
        unit: bytes of a row; a multiple of the width.
        change: one of REPLACE, XOR, DIFFERENCE and STEPS.
        width: bytes of a number, or HALVES.
        changed: which units changed; others are equal.
    """
    starts, ends = runs_of(changed)
    gaps = starts - np.concatenate([[0], ends[:-1]]) if len(starts) else starts
    was, now = (np.ascontiguousarray(each.reshape(-1, unit)[changed]).reshape(-1) for each in (old, new))
    runs = to_varints(np.concatenate([gaps, ends - starts]))
    if change == STEPS:
        changes = _to_steps(was, now, width)
    else:
        changes = _planes(_changes(was, now, change, width), width)
    return to_varint(len(starts)) + runs + changes.tobytes()


def runs_of(changed: Mask) -> tuple[Whole, Whole]:
    """Where runs of what changed begin, and where they end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], changed.astype(np.int8), [0]])))
    return edges[::2], edges[1::2]


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
    new = old.copy()
    rows = new.reshape(-1, unit)
    was, changes = rows[chosen].reshape(-1), payload[at + size :]
    if change == STEPS:
        now = _from_steps(was, changes, width)
    elif len(changes) == len(was):
        now = _changed(was, _numbers(changes, width), change, width)
    else:
        raise ArtifactError("the changes are not those of its rows")
    rows[chosen] = now.reshape(-1, unit)
    return new


def _chosen(starts: npt.NDArray[Any], ends: npt.NDArray[Any], rows: int) -> Mask:
    steps = np.zeros(rows + 1, np.int64)
    np.add.at(steps, starts, 1)
    np.add.at(steps, ends, -1)
    return np.cumsum(steps[:-1]) > 0


def _changes(old: Bytes, new: Bytes, change: int, width: int) -> Bytes:
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
    if change == REPLACE:
        return changes
    if change == XOR:
        return changes ^ old
    if width == HALVES:
        low, high = (old & 15) + (changes & 15), (old >> 4) + (changes >> 4)
        return ((low & 15) | ((high & 15) << 4)).astype(np.uint8)
    kind = _WHOLE[width]
    given, one = changes.view(kind), kind.type(1)
    step = (given >> one) ^ (kind.type(0) - (given & one))
    return np.asarray(old.view(kind) + step, kind).view(np.uint8)


def _to_steps(old: Bytes, new: Bytes, width: int) -> Bytes:
    """Five signed steps to a byte in base 3, lowest first; where one is larger, all five at the end."""
    steps = (_codes(new, width) - _codes(old, width)).astype(np.uint8)
    if width == HALVES:
        steps = np.asarray(((steps & 15) ^ 8) - np.uint8(8), np.uint8)
    fives = np.pad(steps.view(np.int8), (0, -len(steps) % 5)).reshape(-1, 5)
    fits = (np.abs(fives.astype(np.int16)) <= 1).all(axis=1)
    packed = np.where(fits, np.where(fives < 0, 2, fives) @ _POWERS, _ESCAPE).astype(np.uint8)
    return np.concatenate([packed, fives[~fits].reshape(-1).view(np.uint8)])


def _from_steps(old: Bytes, changes: Bytes, width: int) -> Bytes:
    codes = _codes(old, width)
    packed, large = np.split(changes, [-(-len(codes) // 5)])
    escaped = packed == _ESCAPE
    if (
        len(packed) * 5 < len(codes)
        or len(large) != 5 * np.count_nonzero(escaped)
        or (packed > _ESCAPE).any()
    ):
        raise ArtifactError("the changes are not those of its rows")
    digits = packed[:, None] // _POWERS % 3
    fives = np.where(digits == 2, 255, digits).astype(np.uint8)
    fives[escaped] = large.reshape(-1, 5)
    found = codes + fives.reshape(-1)[: len(codes)]
    if width != HALVES:
        return found
    return np.asarray((found[::2] & 15) | ((found[1::2] & 15) << 4), np.uint8)


def _codes(data: Bytes, width: int) -> Bytes:
    """The bytes as codes of eight bits, or of four, the lower half of a byte first."""
    if width != HALVES:
        return data
    return np.asarray(np.stack([data & 15, data >> 4], axis=1).reshape(-1), np.uint8)


def _planes(values: Bytes, width: int) -> Bytes:
    return values.reshape(-1, width or 1).T.reshape(-1)


def _numbers(planes: Bytes, width: int) -> Bytes:
    return np.ascontiguousarray(planes.reshape(width or 1, -1).T).reshape(-1)
