"""Hashes of ids that do not fit in 32 bits, computed once for every id: a table from id to bucket.

A remainder passes through sums and products (see `int32`); a shift after an overflow, or a multiplication
that wraps on purpose, does not. What such a hash gives depends on one id of a known vocabulary, so
all its values are known when the model is converted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, fx

from pocketrec.convert.lower.ranges import Range, fits, op_name

_ELEMENTWISE = frozenset(
    [
        "add",
        "sub",
        "mul",
        "neg",
        "abs",
        "remainder",
        "fmod",
        "floor_divide",
        "bitwise_and",
        "bitwise_or",
        "bitwise_xor",
        "bitwise_not",
        "bitwise_left_shift",
        "bitwise_right_shift",
        "to_copy",
        "clone",
        "alias",
        "lift_fresh_copy",
    ]
)
_LARGEST_TABLE = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class HashTable:
    """What a hash gives for every id.

    Attributes:
        source: the node of the ids.
        lowest: the id of the first value.
        values: int64, one per id.
    """

    source: fx.Node
    lowest: int
    values: Tensor


def find_tables(
    graph: fx.Graph, ranges: Mapping[fx.Node, Range | None], reduced: Callable[[fx.Node], bool]
) -> dict[fx.Node, HashTable]:
    """The tables by the node that they replace: one that fits in int32, made from what does not.

    Args:
        graph: in the core ATen dialect.
        ranges: of every integer node, for every id that passes the guards.
        reduced: True for a node that is computed within 32 bits already.
    """
    found = {}
    for node in graph.nodes:
        if ranges.get(node) is None or not fits(ranges[node]) or reduced(node):
            continue
        steps = _steps(node, ranges)
        leaves = {each for step in steps for each in step.all_input_nodes if each not in steps}
        if len(steps) < 2 or len(leaves) != 1:
            continue
        (source,) = leaves
        table = _table(source, node, [each for each in graph.nodes if each in steps], ranges)
        if table is not None:
            found[node] = table
    return found


def _steps(node: fx.Node, ranges: Mapping[fx.Node, Range | None]) -> set[fx.Node]:
    """The node and all elementwise steps before it that do not fit in int32."""
    found: set[fx.Node] = set()
    waiting = [node]
    while waiting:
        step = waiting.pop()
        if step in found or op_name(step) not in _ELEMENTWISE:
            continue
        found.add(step)
        waiting += [each for each in step.all_input_nodes if not fits(ranges.get(each))]
    return found


def _table(
    source: fx.Node, node: fx.Node, steps: list[fx.Node], ranges: Mapping[fx.Node, Range | None]
) -> HashTable | None:
    known, ids = ranges.get(source), source.meta.get("val")
    if known is None or known[1] - known[0] >= _LARGEST_TABLE or not isinstance(ids, Tensor):
        return None
    values = {source: torch.arange(known[0], known[1] + 1, dtype=ids.dtype)}
    for step in steps:
        args, kwargs = fx.node.map_arg((step.args, step.kwargs), lambda each: values[each])
        values[step] = step.target(*args, **kwargs)  # type: ignore[operator]
    return HashTable(source=source, lowest=known[0], values=values[node])
