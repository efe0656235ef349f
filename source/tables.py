"""Large tables that are not held, and what encodes them: fitted on a sample, or in a first pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import PlanError, TableError
from pocketrec.quantize import QuantizedTensor
from pocketrec.quantize.schemes.base import Codec, Encoded, RowScheme, Scheme, sample_of
from pocketrec.quantize.schemes.hot_rows import HotRows
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.tensor import PartsTensor, RowTensor
from pocketrec.quantize.usage import UNKNOWN, Usage
from pocketrec.source.checkpoint import RowReader, Span
from pocketrec.source.stubs import Source, Stub

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

CHUNK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Rows of a table that are encoded alike.

    Attributes:
        codec: what encodes them.
        chosen: which rows, bool `[rows of the table]`; None where it is all of them.
        key: begins the names of its arrays.
    """

    codec: Codec[Any, RowTensor]
    chosen: Array | None = None
    key: str = ""

    def rows(self, total: int) -> int:
        """How many rows it has, of a table with `total`."""
        return total if self.chosen is None else int(np.count_nonzero(self.chosen))

    def encode(self, rows: Floats, start: int) -> Encoded | None:
        """Its rows among those of a chunk that begins at row `start`; None where there are none."""
        own = rows if self.chosen is None else rows[self.chosen[start : start + len(rows)]]
        return self.codec.encode(own) if len(own) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table that is not held.

    Attributes:
        name: the tensor's name in the module.
        number: of its stub.
        span: where its bytes lie.
        parts: what encodes its rows; none where they are stored as numbers.
        joined: parts as tensors to the whole tensor, where there are several.
    """

    name: str
    number: int
    span: Span
    parts: tuple[Part, ...] = ()
    joined: Callable[[RowTensor, RowTensor], PartsTensor] | None = None

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self.span.shape[0]

    def tensor(self) -> QuantizedTensor:
        """The compressed tensor with stubs in place of the arrays that have a row per row of the table."""
        parts = tuple(self._tensor(each) for each in self.parts)
        return parts[0] if self.joined is None else self.joined(*parts)

    def _tensor(self, part: Part) -> RowTensor:
        rows, columns = part.rows(self.rows), self.span.shape[1]
        probe = part.codec.encode(np.ones((1, columns), np.float32))
        stubs: dict[str, Any] = {
            name: Stub.of(
                np.ones(1, array.dtype)[0],
                (rows, *array.shape[1:]),
                Source.of(self.number, part.key + name),
            )
            for name, array in probe.arrays.items()
        }
        return part.codec.tensor(self.name, (rows, columns), replace(probe, **stubs))

    def values(self, rows: Floats, start: int) -> Floats:
        """What the codes of a chunk that begins at row `start` stand for, float32."""
        if not self.parts:
            return rows
        made = np.empty_like(rows)
        for part in self.parts:
            encoded = part.encode(rows, start)
            if encoded is not None:
                shape = (len(encoded.codes), rows.shape[1])
                own = slice(None) if part.chosen is None else part.chosen[start : start + len(rows)]
                made[own] = part.codec.tensor(self.name, shape, encoded).dequantize()
        return made


def encoded_by(table: Table, scheme: Scheme, *, usage: Usage = UNKNOWN) -> Table:
    """The table with what a scheme learns from a sample of its rows or a first pass over them.

    Args:
        table: on disk.
        scheme: of the plan.
        usage: what is known of how it is used.

    Raises:
        PlanError: the scheme needs the whole table at once.
    """
    name, span = table.name, table.span
    scheme.check(name, span.shape)
    if isinstance(scheme, HotRows):
        return _in_parts(table, scheme, usage)
    if not isinstance(scheme, RowScheme):
        raise PlanError(
            f"{name}: {scheme.scheme} needs the whole table at once, and the table is streamed; use "
            "'linear', 'scaled_palette', 'palette', 'product', 'hot_rows' or 'float16', or raise "
            "model.stream_mb to hold it"
        )
    if isinstance(scheme, Linear) and scheme.granularity == "per_tensor":
        codec: Codec[Any, RowTensor] = scheme.fit(
            name, _extremes(scheme, name, span), usage=Usage(headroom=usage.headroom)
        )
    else:
        codec = _fitted(scheme, table, sampled_rows(span.shape[0]), usage)
    return replace(table, parts=(Part(codec=codec),))


def _in_parts(table: Table, scheme: HotRows, usage: Usage) -> Table:
    """Hot and cold rows with a codec each, fitted on rows of their own."""
    hot = scheme.hot(table.name, table.rows, usage)
    parts = []
    for each, chosen, key in zip(scheme.parts, (hot, ~hot), ("hot ", "cold "), strict=True):
        numbers = np.flatnonzero(chosen)
        codec = _fitted(each, table, numbers[sample_of(len(numbers))], usage)
        parts.append(Part(codec=codec, chosen=chosen, key=key))
    return replace(
        table,
        parts=tuple(parts),
        joined=lambda first, second: scheme.joined(table.name, table.span.shape, hot, (first, second)),
    )


def sampled_rows(count: int) -> Array:
    """The numbers of the rows that stand for a table of that many."""
    return np.arange(*sample_of(count).indices(count))


def _fitted(
    scheme: RowScheme[RowTensor], table: Table, sampled: Array, usage: Usage
) -> Codec[Any, RowTensor]:
    """The codec from the rows that a table in memory would be sampled by."""
    if scheme.scheme in ("linear", "float16"):  # learn nothing
        sampled = sampled[:1]
    return scheme.fit(table.name, read_rows(table, sampled), usage=usage.of_rows(sampled))


def read_rows(table: Table, rows: Array) -> Floats:
    """Some rows of a table, given by rising numbers; raises TableError where one is not finite."""
    found = np.empty((len(rows), table.span.shape[1]), np.float32)
    with closing(RowReader(table.span)) as reader:
        if len(rows) and rows[-1] - rows[0] == len(rows) - 1:
            reader.read(int(rows[0]), int(rows[-1]) + 1, found)
        else:
            for place, row in enumerate(rows.tolist()):
                reader.read(row, row + 1, found[place : place + 1])
    check_finite(table.name, found, rows)
    return found


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
            check_finite(name, rows, range(start, start + len(rows)))
            yield start, rows


def rows_in_chunk(span: Span) -> int:
    """Rows in a chunk; a multiple of 64, so that codes of any width end at a byte."""
    return max(64, CHUNK_BYTES // (4 * span.shape[1]) // 64 * 64)


def check_finite(name: str, rows: Floats, numbers: Array | range) -> None:
    """Checks that all of the rows are finite; `numbers` are theirs in the table."""
    with np.errstate(all="ignore"):
        if np.isfinite(rows.sum()):  # a sum over what is not finite is not finite
            return
    wrong = np.argwhere(~np.isfinite(rows))
    if len(wrong):
        row, column = wrong[0]
        raise TableError(
            f"{name}: row {numbers[row]}, column {column} is {rows[row, column]}; expected finite "
            "numbers; repair the checkpoint"
        )
