"""The values that a streamed model computes with, mapped from files: only what is touched is read.

An uncompressed float32 table is mapped from its checkpoint. What compressed codes stand for, and
numbers of another type, are written once as float32, chunk by chunk, and mapped from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from pocketrec.files import write_all, written_file
from pocketrec.quantize.tensor import ratio_db
from pocketrec.source.checkpoint import Span
from pocketrec.source.streamed import mapped_tensor, with_tensors
from pocketrec.source.tables import Table, chunks


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Where a table's values lie as float32, and how far they are from the checkpoint's."""

    span: Span
    sqnr_db: float


def value_spans(tables: Sequence[Table], folder: Path | None) -> dict[str, Values]:
    """The values of every table by name; what has to be written goes to `folder`.

    Args:
        tables: with what encodes them.
        folder: None where nothing may be written: tables of other types are then widened when mapped.

    Raises:
        TableError: a number is not finite; names table, row and column.
        StorageError: there is no room in `folder`.
    """
    return {each.name: _values(each, folder) for each in tables}


def mapped_module(module: nn.Module, spans: Mapping[str, Span]) -> nn.Module:
    """A copy of the module with mapped tensors in place of its stubs."""
    return with_tensors(module, {name: mapped_tensor(span) for name, span in spans.items()})


def _values(table: Table, folder: Path | None) -> Values:
    span = table.span
    if folder is None or (not table.parts and span.dtype == "F32"):
        for _ in chunks(table.name, span):  # a number that is not finite is said before any work is done
            pass
        return Values(span=span, sqnr_db=float("inf"))
    place = Span(
        name=table.name, path=folder / f"{table.number}.float32", offset=0, dtype="F32", shape=span.shape
    )
    signal = noise = 0.0
    with written_file(place.path, place.size_bytes) as file:
        for start, given in chunks(table.name, span):
            made = table.values(given, start)
            if table.parts:
                exact = given.astype(np.float64)
                signal += float(np.square(exact).sum())
                noise += float(np.square(exact - made).sum())
            write_all(file, np.ascontiguousarray(made), 4 * start * span.shape[1])
    return Values(span=place, sqnr_db=ratio_db(signal, noise))
