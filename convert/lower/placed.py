"""The rows of large tables, from the checkpoint to their places in an artifact, in one pass.

Every chunk of rows is read, checked, encoded and written by one task; tasks run on a few threads,
as NumPy and the system's reads and writes let each other run. A row's bytes have a fixed place, so
the order of the tasks changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from threading import local
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ConversionError, TableError
from pocketrec.files import write_all
from pocketrec.source.checkpoint import RowReader
from pocketrec.source.stubs import Stub
from pocketrec.source.tables import Table, check_finite, rows_in_chunk

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

_THREADS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """A stub's place in a file.

    Attributes:
        offset: of its first byte.
        stub: what is to be written there.
        bits: of one element; below 8 they are packed without gaps, the lowest bits first.
    """

    offset: int
    stub: Stub
    bits: int


def pack_bits(values: Array, bits: int) -> Array:
    """The values' bytes; integers below 8 bits without gaps, the lowest bits first."""
    flat = np.ascontiguousarray(values).reshape(-1)
    if bits >= 8:
        return flat.view(np.uint8)
    whole = flat.view(np.uint8)
    if 8 % bits == 0:
        per_byte = 8 // bits
        padded = np.zeros(-(-len(whole) // per_byte) * per_byte, np.uint8)
        np.bitwise_and(whole, (1 << bits) - 1, out=padded[: len(whole)])
        packed = padded[::per_byte].copy()
        for place in range(1, per_byte):
            packed |= padded[place::per_byte] << np.uint8(bits * place)
        return packed
    flags = np.unpackbits(whole[:, None], axis=1, count=bits, bitorder="little")
    return np.packbits(flags.ravel(), bitorder="little")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """What is done with the chunks of one table."""

    table: Table
    reader: RowReader
    places: Sequence[Reserved]
    file: int
    memory: local

    def run(self, start: int) -> None:
        """Reads, checks, encodes and writes the chunk that begins at row `start`."""
        span = self.table.span
        size = rows_in_chunk(span)
        if not hasattr(self.memory, "buffer") or self.memory.buffer.shape != (size, span.shape[1]):
            self.memory.buffer = np.empty((size, span.shape[1]), np.float32)
        rows = self.reader.read(start, min(start + size, span.shape[0]), self.memory.buffer)
        check_finite(self.table.name, rows, range(start, start + len(rows)))
        parts: dict[str, Array] = {"values": rows}
        for part in self.table.parts:
            encoded = part.encode(rows, start)
            if encoded is not None:
                parts |= {part.key + name: array for name, array in encoded.arrays.items()}
        for place in self.places:
            source = place.stub.source
            assert source is not None
            if source.part not in parts:  # no row of this chunk is of that part
                continue
            with np.errstate(over="ignore"):
                array = source.make(parts)
            if source.part == "values":
                self._check_range(rows, array, start)
            self._write(place, array, start)

    def _check_range(self, rows: Floats, array: Array, start: int) -> None:
        if array.dtype == np.float16 and not np.isfinite(array).all():
            row, column = np.argwhere(~np.isfinite(array))[0]
            raise TableError(
                f"{self.table.name}: row {start + row}, column {column} is {rows[row, column]:.6g}, beyond "
                "float16's 65504; use precision = 'float32' or scale the table"
            )

    def _write(self, place: Reserved, array: Array, start: int) -> None:
        stub, bits = place.stub, place.bits
        total, first = _rows_of(self.table, place), self._first(place, start)
        if stub.shape[0] == total or stub.ndim == 1:
            before = stub.size // total * first * bits // 8
            write_all(self.file, pack_bits(array, bits), place.offset + before)
            return
        for column, values in enumerate(array.T):  # the graph reads the table turned
            before = (column * total + first) * bits // 8
            write_all(self.file, pack_bits(values, bits), place.offset + before)

    def _first(self, place: Reserved, start: int) -> int:
        """The place, among the rows of its part, of the first one in the chunk that begins at row `start`."""
        chosen = _part_of(self.table, place)
        return start if chosen is None else int(np.count_nonzero(chosen[:start]))


def _part_of(table: Table, place: Reserved) -> Array | None:
    """The rows of the table that are written to a place; None where it is all of them."""
    assert place.stub.source is not None
    name = place.stub.source.part
    return next((each.chosen for each in table.parts if each.key and name.startswith(each.key)), None)


def _rows_of(table: Table, place: Reserved) -> int:
    chosen = _part_of(table, place)
    return table.rows if chosen is None else int(np.count_nonzero(chosen))


def write_tables(tables: Sequence[Table], reserved: Sequence[Reserved], file: int) -> None:
    """Fills the reserved places of an open file with the rows of their tables.

    Raises:
        TableError: a number is not finite, or beyond float16; names table, row and value.
    """
    by_number = {each.number: each for each in tables}
    for number, places in _by_table(reserved).items():
        table = by_number[number]
        for place in places:
            _check_place(table, place)
        with closing(RowReader(table.span)) as reader:
            task = _Task(table=table, reader=reader, places=places, file=file, memory=local())
            _in_threads(task, range(0, table.rows, rows_in_chunk(table.span)))


def _by_table(reserved: Sequence[Reserved]) -> Mapping[int, list[Reserved]]:
    found: dict[int, list[Reserved]] = {}
    for place in reserved:
        assert place.stub.source is not None
        found.setdefault(place.stub.source.number, []).append(place)
    return found


def _check_place(table: Table, place: Reserved) -> None:
    shape, rows = place.stub.shape, _rows_of(table, place)
    turned = len(shape) == 2 and shape[1] == rows != shape[0]
    # Of a square nobody can tell whether the graph reads it turned.
    straight = (shape[0] == rows and shape[1:] != (rows,)) or (len(shape) == 1 and shape[0] % rows == 0)
    fitting = straight or (turned and (place.bits >= 8 or rows % 8 == 0))
    if _part_of(table, place) is not None:  # its rows in a chunk may be any number
        fitting = fitting and (1 if turned else place.stub.size // rows) * place.bits % 8 == 0
    if not fitting:
        raise ConversionError(
            f"{table.name}: the graph holds it as {list(shape)}, {place.bits} bit, which cannot be streamed; "
            "raise model.stream_mb above its size"
        )


def _in_threads(task: _Task, starts: range) -> None:
    """Every chunk on a few threads; the first chunk that fails decides the error."""
    waiting = iter(starts)
    with ThreadPoolExecutor(_THREADS) as pool:
        running: list[Future[None]] = [pool.submit(task.run, each) for each in islice(waiting, 2 * _THREADS)]
        try:
            while running:
                running.pop(0).result()
                running += [pool.submit(task.run, each) for each in islice(waiting, 1)]
        except BaseException:
            for each in running:
                each.cancel()
            raise
