"""Whole numbers in as few bytes as they need: LEB128, seven bits a byte, lowest first."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ArtifactError

Bytes = npt.NDArray[np.uint8]
Whole = npt.NDArray[np.int64]

LONGEST = 9  # bytes of one: 63 bits


def to_varint(value: int) -> bytes:
    """The bytes of one number, 0 to 2^63 - 1."""
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def to_varints(values: npt.NDArray[Any]) -> bytes:
    """The bytes of many numbers, one after the other."""
    wide = np.asarray(values, np.uint64)
    if not wide.size:
        return b""
    groups = max(1, -(-int(wide.max()).bit_length() // 7))
    place = np.arange(groups, dtype=np.uint64)
    bits = (wide[:, None] >> (place * np.uint64(7))).astype(np.uint64)
    used = (bits > 0) | (place == 0)
    more = (bits >> np.uint64(7)) > 0
    table = (bits & np.uint64(0x7F)) | (more.astype(np.uint64) << np.uint64(7))
    return bytes(table.astype(np.uint8)[used])


def from_varints(data: Bytes, count: int) -> tuple[Whole, int]:
    """The first `count` numbers of the data, and how many bytes they take.

    Raises:
        ArtifactError: there are fewer, or one is larger than 2^63 - 1.
    """
    if not count:
        return np.zeros(0, np.int64), 0
    ends = np.flatnonzero(data < 0x80)[:count]
    if len(ends) < count:
        raise ArtifactError("a number is cut")
    starts = np.concatenate([[0], ends[:-1] + 1])
    if int((ends - starts).max()) >= LONGEST:
        raise ArtifactError("a number is larger than 2^63 - 1")
    size = int(ends[-1]) + 1
    place = np.arange(size) - np.repeat(starts, ends - starts + 1)
    parts = (data[:size] & 0x7F).astype(np.int64) << (7 * place)
    return np.add.reduceat(parts, starts), size
