"""Hazards of ids and indices: integers too narrow for what they count, and floats that round them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pocketrec.validate.artifact.graph import Graph, Op, Tensor
from pocketrec.validate.lint.finding import Hit, Rule, Severity
from pocketrec.validate.lint.paths import ID_PATH, downstream, upstream

# The largest index that a dtype holds; for floats, the largest up to which every integer is exact.
_LARGEST_INTEGER = {"int8": 127, "uint8": 255, "int16": 32_767, "uint16": 65_535}
_LARGEST_EXACT = {"bfloat16": 256, "float16": 2_048, "float32": 16_777_216}

_GATHERS = ("gather", "gather_nd", "gather_along_axis", "gather_block_quantized")
_RANKERS = ("topk", "argsort", "reduce_argmax", "reduce_argmin")


def _made(graph: Graph) -> Iterator[tuple[Op, str, int | None]]:
    """Each op that makes indices: the op, the value that holds them, and how many there are."""
    for op in graph.of_kind(*_RANKERS):
        place = 1 if op.kind == "topk" else 0
        if len(op.outputs) > place and op.outputs[place]:
            yield op, op.outputs[place], graph.extent(op, default_axis=-1)


def _read(graph: Graph) -> Iterator[tuple[Op, str, int | None]]:
    """Each lookup: the op, the value that holds its indices, and how many rows it chooses from."""
    for op in graph.of_kind(*_GATHERS):
        bound = op.inputs.get("indices")
        if bound and graph.tensor(bound[0]).load is None:
            yield op, bound[0], _rows(graph, op)


def _rows(graph: Graph, op: Op) -> int | None:
    if op.kind != "gather_nd":
        return graph.extent(op)
    table, indices = graph.operand(op, "x"), graph.operand(op, "indices")
    if table is None or indices is None or table.shape is None or not indices.shape:
        return None
    first = int(graph.parameter(op, "batch_dims", 0))
    sizes = table.shape[first : first + (indices.shape[-1] or len(table.shape))]
    return None if None in sizes or not sizes else max(size for size in sizes if size is not None)


def _first_below(values: Iterator[Tensor], limits: dict[str, int], count: int) -> Tensor | None:
    """The first value whose dtype cannot hold `count` indices."""
    return next((each for each in values if limits.get(each.dtype, count) < count - 1), None)


def narrow_top_k_indices(graph: Graph) -> Iterator[Hit]:
    """A hit where indices that a ranking op makes are, or become, too narrow for what is ranked."""
    for op, indices, count in _made(graph):
        if count is None:
            narrow = next((v for v in downstream(graph, indices) if v.dtype in _LARGEST_INTEGER), None)
            if narrow is not None:
                message = f"{narrow.dtype} indices over a number of items that the file does not say"
                yield Hit(severity="warning", place=op.name, message=message)
            continue
        narrow = _first_below(downstream(graph, indices), _LARGEST_INTEGER, count)
        if narrow is not None:
            wrapped = np.asarray(count - 1).astype(narrow.dtype)
            message = f"{narrow.dtype} indices over {count:,} items: item {count - 1:,} becomes {wrapped:,}"
            yield Hit(severity="error", place=op.name, message=message)


def narrow_gather_indices(graph: Graph) -> Iterator[Hit]:
    """A hit where a lookup's indices are, or were on their way, too narrow for its table."""
    for op, indices, rows in _read(graph):
        if rows is None:
            dtype = graph.tensor(indices).dtype
            if dtype in _LARGEST_INTEGER:
                message = f"{dtype} indices into a number of rows that the file does not say"
                yield Hit(severity="warning", place=op.name, message=message)
            continue
        narrow = _first_below(upstream(graph, indices), _LARGEST_INTEGER, rows)
        if narrow is not None:
            end = _LARGEST_INTEGER[narrow.dtype]
            message = f"{narrow.dtype} indices ({narrow.name}), which end at {end:,}, into {rows:,} rows"
            yield Hit(severity="error", place=op.name, message=message)
        elif op.kind == "gather_nd" and graph.tensor(indices).dtype in _LARGEST_INTEGER:
            message = f"gather_nd in {graph.tensor(indices).dtype}: {rows:,} rows fit, and nothing checks it"
            yield Hit(severity="note", place=op.name, message=message)


def ids_narrowed_on_entry(graph: Graph) -> Iterator[Hit]:
    """A hit where an id from outside loses its upper bits before a lookup that its table would fit."""
    names = {each.name for each in graph.inputs}
    for op, indices, rows in _read(graph):
        path = list(upstream(graph, indices))
        narrow = next((each for each in reversed(path) if each.dtype in _LARGEST_INTEGER), None)
        source = next((each for each in path if each.name in names), None)
        if narrow is None or source is None or source.dtype in _LARGEST_INTEGER:
            continue
        if rows is not None and _LARGEST_INTEGER[narrow.dtype] >= rows - 1:
            message = f"input {source.name} is {source.dtype or 'wider'} and becomes {narrow.dtype}"
            yield Hit(severity="warning", place=op.name, message=message)


def ids_in_float(graph: Graph) -> Iterator[Hit]:
    """A hit where an id passes through a float that does not hold every integer of its range."""
    for op, indices, rows in _read(graph):
        rounding = _first_below(upstream(graph, indices), _LARGEST_EXACT, rows or 0)
        if rounding is not None:
            yield _rounded(op, rounding, f"ids of {rows:,} rows")
    for op, indices, count in _made(graph):
        rounding = _first_below(downstream(graph, indices), _LARGEST_EXACT, count or 0)
        if rounding is not None:
            yield _rounded(op, rounding, f"indices of {count:,} items")


def _rounded(op: Op, value: Tensor, what: str) -> Hit:
    exact = _LARGEST_EXACT[value.dtype]
    message = f"{what} pass through {value.dtype} ({value.name}), which is exact up to {exact:,}"
    return Hit(severity="error", place=op.name, message=message)


def index_guard_chain(graph: Graph) -> Iterator[Hit]:
    """One hit where lookups stand behind the chain that adds the number of rows to negative ids."""
    places = [op.name for op, indices, _ in _read(graph) if _wraps_negatives(graph, indices)]
    if places:
        message = f"{len(places)} of the lookups add the number of rows to a negative id first"
        yield Hit(severity="note", place=places[0], message=message)


def _wraps_negatives(graph: Graph, indices: str) -> bool:
    for value in upstream(graph, indices):
        op = graph.makers.get(value.name)
        if op is not None and op.kind == "select":
            condition = graph.makers.get((op.inputs.get("cond") or ("",))[0])
            other = graph.makers.get((op.inputs.get("b") or ("",))[0])
            if condition and other and condition.kind == "greater_equal" and other.kind == "add":
                return bool({*condition.operands} & {*other.operands})
    return False


def unguarded_ids(graph: Graph) -> Iterator[Hit]:
    """A hit for every input whose ids reach a lookup that answers those outside of its table."""
    found: dict[str, list[Op]] = {}
    for op, indices, _ in _read(graph):
        for name in _unguarded(graph, op, indices):
            found.setdefault(name, []).append(op)
    for name, ops in found.items():
        worst = next((each for each in ops if each.kind == "gather_block_quantized"), ops[0])
        severity, what = _answer(graph, worst)
        message = f"input {name} reaches {len(ops)} of the lookups unchecked, and {worst.kind} {what}"
        yield Hit(severity=severity, place=worst.name, message=message)


def _answer(graph: Graph, lookup: Op) -> tuple[Severity, str]:
    """How bad it is that the lookup gets ids outside of its table, and what it does with them."""
    if lookup.kind == "gather_block_quantized":
        return "warning", "answers zeros for ids outside of its table"
    if not graph.refuses_ids_beyond:
        return "note", "leaves open what ids outside of its table read"
    return "warning", "reads the last rows for negative ids"


def _unguarded(graph: Graph, lookup: Op, indices: str) -> Iterator[str]:
    """The inputs that reach the lookup's indices through nothing that changes or refuses what is outside."""
    inputs = {each.name for each in graph.inputs}
    seen, waiting = {indices}, [indices]
    while waiting:
        name = waiting.pop()
        if name in inputs:
            yield name
        op = graph.makers.get(name)
        if op is None or op.kind not in ID_PATH or _guards(graph, op, lookup):
            continue
        for operand in ID_PATH[op.kind]:
            new = [each for each in op.inputs.get(operand, ()) if each not in seen]
            waiting += [each for each in new if graph.tensor(each).load is None]
            seen.update(new)


def _guards(graph: Graph, op: Op, lookup: Op) -> bool:
    """Whether the op keeps ids within bounds: a clip, a remainder, or a choice that compares on both sides.

    A lookup of codes refuses nothing itself, whatever the format's others do.
    """
    if op.kind in ("clip", "mod", "floor_mod"):
        return True
    if op.kind != "select":
        return False
    kinds = set(_deciding(graph, (op.inputs.get("cond") or ("",))[0]))
    below, beyond = kinds & {"less", "less_equal"}, kinds & {"greater", "greater_equal"}
    refuses = graph.refuses_ids_beyond and lookup.kind != "gather_block_quantized"
    return bool(below and (beyond or refuses))


def _deciding(graph: Graph, condition: str) -> Iterator[str]:
    """The kinds of the ops that a condition is made of."""
    op = graph.makers.get(condition)
    if op is None:
        return
    yield op.kind
    if op.kind in ("logical_or", "logical_and", "logical_not", "cast", "identity"):
        for each in op.operands:
            yield from _deciding(graph, each)


RULES: dict[str, Rule[Graph]] = {
    "narrow-top-k-indices": Rule(
        check=narrow_top_k_indices,
        consequence="items beyond the dtype's end come out as other items",
        remedy="keep indices int32: leave common::add_int16_cast out of coremltools' passes, or cast later",
    ),
    "narrow-gather-indices": Rule(
        check=narrow_gather_indices,
        consequence="ids beyond the dtype's end read other rows of the table",
        remedy="keep ids int32 (Core ML) or int64 (ONNX): leave common::add_int16_cast out, remove the cast",
    ),
    "ids-narrowed-on-entry": Rule(
        check=ids_narrowed_on_entry,
        consequence="an unknown id of 65,536 + n reads row n, and no check in the graph can notice",
        remedy="check ids before the cast, or leave common::add_int16_cast out of coremltools' passes",
    ),
    "ids-in-float": Rule(
        check=ids_in_float,
        consequence="ids are rounded to neighbours, so other rows are read or other items recommended",
        remedy="give ids an integer input of their own, or keep the ops on their way in float32 or int32",
    ),
    "index-guard-chain": Rule(
        check=index_guard_chain,
        consequence="three integer ops for each lookup that serve negative ids only, which no id space has",
        remedy="nothing is wrong; a guard that maps unknown ids to padding makes the chain redundant",
    ),
    "unguarded-ids": Rule(
        check=unguarded_ids,
        consequence="an unknown id gets an answer, as if it were another item, where PyTorch refuses it",
        remedy="map ids outside of the vocabulary in the graph: a contract's out_of_vocabulary, or a where",
    ),
}
