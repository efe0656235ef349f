"""A file of the newer release, from its records and a file of the older one."""

from __future__ import annotations

from io import BufferedIOBase
from typing import BinaryIO

from pocketrec.errors import ArtifactError
from pocketrec.package.delta.format import (
    AGAIN,
    EDIT,
    LARGEST_PAYLOAD,
    LARGEST_ROWS,
    LARGEST_STORED,
    ROWS,
    Entry,
    as_bytes,
    inflate,
)
from pocketrec.package.delta.rows import DIFFERENCE, HALVES, STEPS, WIDTHS, from_payload
from pocketrec.package.delta.varints import LONGEST, Bytes, from_varints

_CHUNK = 1 << 20


def rebuild(records: BufferedIOBase, entry: Entry, base: Bytes, out: BinaryIO) -> None:
    """Writes the file that an entry's records give; of memory it takes that of one record.

    Args:
        records: stands at the entry's first record, and at the next entry's afterwards.
        entry: of the header.
        base: the bytes of the older file; none where there is none.
        out: the new file.

    Raises:
        ArtifactError: the records do not give the file that the header says.
    """
    reader = _Reader(records, entry)
    left = entry.size_bytes
    try:
        while left:
            left -= _record(reader, base, out, left)
        if reader.left:
            raise ArtifactError(f"{reader.left} bytes of records are left over")
    except ArtifactError as error:
        raise ArtifactError(f"{entry.path}: a record of the delta is damaged: {error}; {AGAIN}") from None


class _Reader:
    """The bytes of one entry's records."""

    def __init__(self, file: BufferedIOBase, entry: Entry) -> None:
        self._file = file
        self.left = entry.stored_bytes

    def take(self, size: int) -> bytes:
        """The next bytes."""
        if size > self.left:
            raise ArtifactError("it ends beyond its file's records")
        self.left -= size
        return self._file.read(size)

    def number(self) -> int:
        """The next number."""
        found = bytearray(self.take(1))
        while found[-1] >= 0x80 and len(found) < LONGEST:
            found += self.take(1)
        if found[-1] >= 0x80:
            raise ArtifactError("a number is larger than 2^63 - 1")
        return int(from_varints(as_bytes(bytes(found)), 1)[0][0])

    def payload(self) -> bytes:
        """The next payload, inflated."""
        raw, stored = self.number(), self.number()
        if raw > LARGEST_PAYLOAD:
            raise ArtifactError(f"a payload of {raw} bytes, expected {LARGEST_PAYLOAD} at most")
        if stored > LARGEST_STORED:
            raise ArtifactError(f"a payload stored as {stored} bytes, expected {LARGEST_STORED} at most")
        return inflate(self.take(stored), raw)


def _record(reader: _Reader, base: Bytes, out: BinaryIO, left: int) -> int:
    """Writes what the next record gives, at most `left` bytes, and returns how many."""
    kind = reader.take(1)[0]
    if kind == EDIT:
        return _edit(reader, base, out, left)
    if kind == ROWS:
        return _rows(reader, base, out, left)
    raise ArtifactError(f"kind {kind} is none")


def _edit(reader: _Reader, base: Bytes, out: BinaryIO, left: int) -> int:
    """Literal bytes and copies in turns."""
    count = reader.number()
    payload = as_bytes(reader.payload())
    if not 0 < count <= len(payload):
        raise ArtifactError("it has no turns, or more than bytes")
    numbers, at = from_varints(payload, 3 * count)
    literals, copies, steps = (part.tolist() for part in numbers.reshape(3, count))
    if sum(literals) + sum(copies) > left or sum(literals) != len(payload) - at or not any(literals + copies):
        raise ArtifactError("it does not give what is left of the file")
    place = 0
    for literal, copy, step in zip(literals, copies, steps, strict=True):
        out.write(payload[at : at + literal].data)
        at += literal
        place += (step >> 1) ^ -(step & 1)
        if copy and not 0 <= place <= len(base) - copy:
            raise ArtifactError("it copies from beyond the older file")
        for start in range(place, place + copy, _CHUNK):
            out.write(base[start : min(start + _CHUNK, place + copy)].data)
        place += copy
    return int(sum(literals) + sum(copies))


def _rows(reader: _Reader, base: Bytes, out: BinaryIO, left: int) -> int:
    """Rows of the older file, some of them changed."""
    place, unit, units = reader.number(), reader.number(), reader.number()
    change, width = reader.take(2)
    size = unit * units
    if not 0 < size <= min(left, LARGEST_ROWS) or place + size > len(base):
        raise ArtifactError("its rows are beyond the older file, or what is left of the newer")
    if not _known(change, width) or unit % (width or 1):
        raise ArtifactError("its numbers have a width or a change that is none")
    payload = as_bytes(reader.payload())
    out.write(from_payload(base[place : place + size], payload, unit, change, width).data)
    return size


def _known(change: int, width: int) -> bool:
    """Whether numbers of that width can change so."""
    if change == STEPS:
        return width <= 1
    return change < STEPS and width in WIDTHS and (width != HALVES or change == DIFFERENCE)
