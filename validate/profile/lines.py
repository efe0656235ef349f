"""Ops, lines of source and modules: what each op takes and costs, put to where it came from.

Origins are those that the artifact holds. An op that makes several tensors is put where the first of them
with an origin came from, and what an engine made of several ops where the last of them did.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from pocketrec.validate.artifact.graph import Graph
from pocketrec.validate.profile.cost import Cost, OpCost
from pocketrec.validate.profile.ops import OpTimes

N = TypeVar("N", int, float)
UNKNOWN = "no line is known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One op, or all of one line.

    Attributes:
        type: the op's; of a line, its ops by number.
        name: the op's; of a line, empty.
        module: path of the module; empty at the top, or where it is not known.
        source: file and line; `UNKNOWN` where the artifact does not say.
        ms: of a call; None where no engine told.
        share: of the ops' milliseconds; None likewise.
        operations: of a call; None where they were not counted.
        read_bytes: likewise.
        written_bytes: likewise.
    """

    type: str
    name: str
    module: str
    source: str
    ms: float | None = None
    share: float | None = None
    operations: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None


def op_rows(graph: Graph, times: OpTimes, cost: Cost) -> tuple[Row, ...]:
    """A row an op that ran or was counted: those that took longest first, then by operations.

    An op that an engine made of several has the costs of the one that made the same tensor.
    """
    by_name = {op.name: op for op in graph.ops}
    costs = {next(iter(each.outputs), each.name): each for each in cost.ops}
    total = sum(each.ms for each in times.ops)
    rows = []
    for each in times.ops:
        known = by_name.get(each.name)
        outputs = each.outputs or (() if known is None else known.outputs)
        row = _row(graph, each.type, each.name, outputs, costs.pop(next(iter(outputs), each.name), None))
        rows.append(replace(row, ms=each.ms, share=each.ms / total if total else 0.0))
    rows += [_row(graph, each.type, each.name, each.outputs, each) for each in costs.values()]
    return tuple(sorted(rows, key=lambda row: (-(row.ms or 0.0), -(row.operations or 0), row.name)))


def _row(graph: Graph, kind: str, name: str, outputs: Sequence[str], cost: OpCost | None) -> Row:
    origin = next((graph.origins[each] for each in outputs if each in graph.origins), None)
    return Row(
        type=kind,
        name=name,
        module="" if origin is None else origin.module,
        source=UNKNOWN if origin is None else origin.source or origin.place,
        operations=None if cost is None else cost.operations,
        read_bytes=None if cost is None else cost.read_bytes,
        written_bytes=None if cost is None else cost.written_bytes,
    )


def line_rows(rows: Sequence[Row]) -> tuple[Row, ...]:
    """A row a line of source, with what all its ops take and cost; in the same order."""
    lines: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        lines.setdefault((row.module, row.source), []).append(row)
    merged = [
        Row(
            type=_types(each),
            name="",
            module=module,
            source=source,
            ms=_sum(row.ms for row in each),
            share=_sum(row.share for row in each),
            operations=_sum(row.operations for row in each),
            read_bytes=_sum(row.read_bytes for row in each),
            written_bytes=_sum(row.written_bytes for row in each),
        )
        for (module, source), each in lines.items()
    ]
    return tuple(sorted(merged, key=lambda row: (-(row.ms or 0.0), -(row.operations or 0), row.source)))


def _types(rows: Iterable[Row]) -> str:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.type] = counts.get(row.type, 0) + 1
    return ", ".join(name if count == 1 else f"{count} {name}" for name, count in counts.items())


def _sum(values: Iterable[N | None]) -> N | None:
    """The sum of those that are known; None where none is."""
    known = [each for each in values if each is not None]
    return sum(known[1:], start=known[0]) if known else None
