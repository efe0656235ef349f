"""The index of a vocabulary's files: where every line begins, and the sorted hashes of what the lines say.

A package in Swift maps it into memory and finds a word without a pass over the lines. Little-endian:

    PKTINDEX, version, 0                       8 bytes, 32 and 32 bits
    lines, bytes, entries of the tokens        64 bits each; entries are the lines that are not empty
    lines, bytes, entries of the titles        0 where there are none
    of the tokens, then of the titles          each part begins at a multiple of eight bytes
        where each line begins, and the end    32 bits, lines + 1 of them
        the hashes of the entries, ascending   64 bits, FNV-1a of the line's bytes
        their lines, of equal hashes ascending 32 bits

Source of the hash: Fowler, Noll, Vo and Eastlake, "The FNV Non-Cryptographic Hash Algorithm", 2019.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ArtifactError

MAGIC, VERSION = b"PKTINDEX", 1
_BASIS, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_LINE_FEED = 0x0A
_LARGEST = (1 << 32) - 1  # bytes of a file, whose places have 32 bits


def index_of(tokens: bytes, titles: bytes | None = None) -> bytes:
    """The index of a vocabulary's tokens file and titles file, the same bytes for the same files.

    Raises:
        ArtifactError: a file is empty, ends within a line or is too large, or their lines are not as many.
    """
    columns = [_column("tokens", tokens), *([] if titles is None else [_column("titles", titles)])]
    counts = [each.lines for each in columns]
    if len(set(counts)) > 1:
        raise ArtifactError(
            f"titles: {counts[1]} lines; expected {counts[0]}, one a token; pull the bundle again"
        )
    sizes = [number for each in columns for number in (each.lines, each.size, len(each.rows))]
    head = struct.pack("<8sII6Q", MAGIC, VERSION, 0, *sizes, *[0] * (6 - len(sizes)))
    return head + b"".join(_padded(part) for each in columns for part in (each.ends, each.hashes, each.rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """The lines of one file: where they begin, and the entries by their hashes."""

    size: int
    ends: npt.NDArray[np.uint32]
    hashes: npt.NDArray[np.uint64]
    rows: npt.NDArray[np.uint32]

    @property
    def lines(self) -> int:
        return len(self.ends) - 1


def _column(name: str, data: bytes) -> _Column:
    if not data.endswith(b"\n"):
        raise ArtifactError(f"{name}: ends within a line; expected a line feed last; pull the bundle again")
    if len(data) > _LARGEST:
        raise ArtifactError(f"{name}: {len(data)} bytes; expected at most {_LARGEST}; shorten the lines")
    text = np.frombuffer(data, np.uint8)
    begins = np.concatenate([[0], np.flatnonzero(text == _LINE_FEED) + 1])
    rows = np.flatnonzero(np.diff(begins) > 1)
    hashes = _hashes(text, begins[rows], np.diff(begins)[rows] - 1)
    order = np.argsort(hashes, kind="stable")
    return _Column(
        size=len(data),
        ends=begins.astype(np.uint32),
        hashes=hashes[order],
        rows=rows[order].astype(np.uint32),
    )


def _hashes(
    text: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint64]:
    """The hash of every stretch of the text: byte after byte for all that are long enough at once."""
    order = np.argsort(-lengths, kind="stable")
    starts, ascending = starts[order], np.sort(lengths)
    found = np.full(len(starts), _BASIS, np.uint64)
    for place in range(int(ascending[-1]) if len(ascending) else 0):
        longer = len(ascending) - int(np.searchsorted(ascending, place, side="right"))
        byte = text[starts[:longer] + place].astype(np.uint64)
        found[:longer] = (found[:longer] ^ byte) * _PRIME
    hashes = np.empty_like(found)
    hashes[order] = found
    return hashes


def _padded(numbers: npt.NDArray[np.unsignedinteger]) -> bytes:
    data = numbers.astype(numbers.dtype.newbyteorder("<")).tobytes()
    return data + bytes(-len(data) % 8)
