"""Large tables and how they are encoded; the bytes go from the checkpoint to their places in one pass.

Every chunk of rows is read, checked, encoded and written by one task; tasks run on a few threads,
as NumPy and the system's reads and writes let each other run. A row's bytes have a fixed place, so
the order of the tasks changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, fields
from itertools import islice
from threading import local
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.convert.stream.blobs import Reserved, pack_bits, write_all
from pocketrec.convert.stream.checkpoint import RowReader, Span
from pocketrec.convert.stream.stub import Source, Stub
from pocketrec.errors import ConversionError, PlanError, TableError
from pocketrec.quantize import QuantizedTensor
from pocketrec.quantize.schemes.base import Codec, Encoded, RowScheme, Scheme, sample_of
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.usage import UNKNOWN, Usage

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

CHUNK_BYTES = 4 << 20
_THREADS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table that is not held.

    Attributes:
        name: the tensor's name in the module.
        number: of its stub.
        span: where its bytes lie.
        codec: what encodes its rows; None where they are stored as numbers.
    """

    name: str
    number: int
    span: Span
    codec: Codec | None = None

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self.span.shape[0]

    def tensor(self) -> QuantizedTensor:
        """The compressed tensor with stubs in place of the arrays that have a row per row of the table."""
        assert self.codec is not None
        probe = self.codec.encode(np.ones((1, self.span.shape[1]), np.float32))
        arrays = {each.name: getattr(probe, each.name) for each in fields(Encoded)}
        stubs: dict[str, Any] = {
            part: None
            if array is None
            else Stub.of(
                np.ones(1, array.dtype)[0],
                (self.rows, *array.shape[1:]),
                Source.of(self.number, part),
            )
            for part, array in arrays.items()
        }
        return self.codec.tensor(self.name, self.span.shape, Encoded(**stubs))


def fitted(scheme: Scheme, name: str, span: Span, *, usage: Usage = UNKNOWN) -> Codec:
    """The codec of a scheme for a table on disk, from a sample of its rows or a first pass over them.

    Args:
        scheme: of the plan.
        name: of the table.
        span: where its bytes lie.
        usage: what is known of how it is used.

    Raises:
        PlanError: the scheme needs the whole table at once.
    """
    scheme.check(name, span.shape)
    if not isinstance(scheme, RowScheme):
        raise PlanError(
            f"{name}: {scheme.scheme} needs the whole table at once, and the table is streamed; use "
            "'linear', 'scaled_palette', 'palette', 'product' or 'float16', or raise "
            "model.stream_mb to hold it"
        )
    if isinstance(scheme, Linear) and scheme.granularity == "per_tensor":
        return scheme.fit(name, _extremes(scheme, name, span))
    sample = _sample(scheme, name, span)
    chosen = range(*sample_of(span.shape[0]).indices(span.shape[0]))[: len(sample)]
    return scheme.fit(name, sample, usage=usage.of_rows(np.asarray(chosen)))


def _sample(scheme: RowScheme, name: str, span: Span) -> Floats:
    """The rows that a table in memory would be sampled by; one row where nothing is learnt from them."""
    learns_nothing = scheme.scheme in ("linear", "float16")
    chosen = range(1) if learns_nothing else range(*sample_of(span.shape[0]).indices(span.shape[0]))
    sample = np.empty((len(chosen), span.shape[1]), np.float32)
    with closing(RowReader(span)) as reader:
        if chosen.step == 1:
            reader.read(0, len(chosen), sample)
        else:
            for place, row in enumerate(chosen):
                reader.read(row, row + 1, sample[place : place + 1])
    _check_finite(name, sample, 0, step=chosen.step)
    return sample


def _extremes(scheme: Linear, name: str, span: Span) -> Floats:
    """Two rows that have the table's smallest and largest number."""
    if scheme.clipping != "range":
        raise PlanError(
            f"{name}: clipping 'search' per tensor needs the whole table at once, and the table is "
            "streamed; use granularity='per_row'"
        )
    low, high = math.inf, -math.inf
    for start, rows in chunks(name, span):
        del start
        low, high = min(low, float(rows.min())), max(high, float(rows.max()))
    return np.repeat(np.array([[low], [high]], np.float32), span.shape[1], axis=1)


def first_rows(span: Span, count: int) -> Floats:
    """The first rows of a table, float32."""
    with closing(RowReader(span)) as reader:
        return reader.read(0, count, np.empty((count, span.shape[1]), np.float32))


def chunks(name: str, span: Span) -> Iterator[tuple[int, Floats]]:
    """First row and rows of every chunk, checked; the memory of one chunk is used again for the next."""
    size = rows_in_chunk(span)
    buffer = np.empty((size, span.shape[1]), np.float32)
    with closing(RowReader(span)) as reader:
        for start in range(0, span.shape[0], size):
            rows = reader.read(start, min(start + size, span.shape[0]), buffer)
            _check_finite(name, rows, start)
            yield start, rows


def rows_in_chunk(span: Span) -> int:
    """Rows in a chunk; a multiple of 64, so that codes of any width end at a byte."""
    return max(64, CHUNK_BYTES // (4 * span.shape[1]) // 64 * 64)


def _check_finite(name: str, rows: Floats, start: int, *, step: int = 1) -> None:
    with np.errstate(all="ignore"):
        if np.isfinite(rows.sum()):  # a sum over what is not finite is not finite
            return
    wrong = np.argwhere(~np.isfinite(rows))
    if len(wrong):
        row, column = wrong[0]
        raise TableError(
            f"{name}: row {start + row * step}, column {column} is {rows[row, column]}; expected finite "
            "numbers; repair the checkpoint"
        )


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
        _check_finite(self.table.name, rows, start)
        parts: dict[str, Array] = {"values": rows}
        if self.table.codec is not None:
            encoded = self.table.codec.encode(rows)
            parts |= {each.name: getattr(encoded, each.name) for each in fields(Encoded)}
        for place in self.places:
            source = place.stub.source
            assert source is not None
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
        stub, bits, total = place.stub, place.bits, self.table.rows
        if stub.shape[0] == total or stub.ndim == 1:
            before = stub.size // total * start * bits // 8
            write_all(self.file, pack_bits(array, bits), place.offset + before)
            return
        for column, values in enumerate(array.T):  # the graph reads the table turned
            before = (column * total + start) * bits // 8
            write_all(self.file, pack_bits(values, bits), place.offset + before)


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
    shape, rows = place.stub.shape, table.rows
    turned = len(shape) == 2 and shape[1] == rows != shape[0]
    straight = shape[0] == rows or (len(shape) == 1 and shape[0] % rows == 0)
    if not straight and not (turned and (place.bits >= 8 or rows % 8 == 0)):
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
