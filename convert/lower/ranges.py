"""The range of every integer in a graph, from what the contract says of the inputs."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx

Range = tuple[int, int]
INT32: Range = (-(2**31), 2**31 - 1)


def fits(found: Range | None, bounds: Range = INT32) -> bool:
    """True where the range is unknown, or within the bounds."""
    return found is None or (bounds[0] <= found[0] and found[1] <= bounds[1])


def op_name(node: fx.Node) -> str:
    """The plain name of the node's op, such as `mul`; empty where it is no call of an op."""
    if node.target is operator.getitem:
        return "getitem"
    return str(getattr(getattr(node.target, "overloadpacket", None), "__name__", "")).strip("_")


def find_ranges(graph_module: fx.GraphModule, inputs: Mapping[str, Range]) -> dict[fx.Node, Range | None]:
    """The range of every integer node, as if integers had no end; None where it is not known.

    Not known are places, counts and sums, which follow the sizes of tensors and are small.

    Args:
        graph_module: in the core ATen dialect.
        inputs: the ranges of the placeholders, by name.
    """
    found: dict[fx.Node, Range | None] = {}
    for node in graph_module.graph.nodes:
        if node.op == "placeholder":
            found[node] = inputs.get(node.name)
        elif node.op == "get_attr":
            found[node] = _of_tensor(_attribute(graph_module, str(node.target)))
        elif node.op == "call_function":
            rule = _RULES.get(op_name(node))
            value = node.meta.get("val")
            found[node] = rule(node, found) if rule is not None and _is_integer(value) else None
    return found


def _attribute(module: Any, path: str) -> Any:
    for part in path.split("."):
        module = getattr(module, part)
    return module


def _is_integer(value: Any) -> bool:
    return isinstance(value, Tensor) and not value.is_floating_point() and not value.is_complex()


def _of_tensor(value: Any) -> Range | None:
    if not _is_integer(value) or not value.numel():
        return None
    return int(value.min()), int(value.max())


Found = Mapping[fx.Node, Range | None]
Rule = Callable[[fx.Node, Found], Range | None]


def _of(value: Any, found: Found) -> Range | None:
    """The range of an argument."""
    if isinstance(value, fx.Node):
        inner = value.meta.get("val")
        if isinstance(inner, Tensor) and inner.dtype == torch.bool:
            return 0, 1
        return found.get(value)
    return (int(value), int(value)) if isinstance(value, bool | int) else None


def _scaled(node: fx.Node, found: Found, sign: int) -> Range | None:
    x, y = _of(node.args[0], found), _of(node.args[1], found)
    if x is None or y is None or "alpha" in node.kwargs:
        return None
    y = y if sign > 0 else (-y[1], -y[0])
    return x[0] + y[0], x[1] + y[1]


def _product(node: fx.Node, found: Found) -> Range | None:
    x, y = _of(node.args[0], found), _of(node.args[1], found)
    if x is None or y is None:
        return None
    ends = [a * b for a in x for b in y]
    return min(ends), max(ends)


def _shifted_left(node: fx.Node, found: Found) -> Range | None:
    x, y = _of(node.args[0], found), _of(node.args[1], found)
    if x is None:
        return None
    most = 1 << (31 if y is None else min(max(y[1], 0), 63))
    return min(x[0] * most, x[0]), max(x[1] * most, x[1])


def _shifted_right(node: fx.Node, found: Found) -> Range | None:
    x = _of(node.args[0], found)
    return None if x is None else (min(x[0], 0), max(x[1], 0))


def _remainder(node: fx.Node, found: Found) -> Range | None:
    y = _of(node.args[1], found)
    return (0, y[1] - 1) if y is not None and y[0] > 0 else None


def _quotient(node: fx.Node, found: Found) -> Range | None:
    x, y = _of(node.args[0], found), _of(node.args[1], found)
    if x is None or y is None or y[0] <= 0:
        return None
    return min(x[0] // y[0], 0), max(x[1] // y[0], 0)


def _bits(node: fx.Node, found: Found) -> Range | None:
    x, y = _of(node.args[0], found), _of(node.args[1], found)
    if op_name(node) == "bitwise_and":
        limits = [each[1] for each in (x, y) if each is not None and each[0] >= 0]
        if limits:
            return 0, min(limits)
    if x is None or y is None:
        return None
    largest = 1 << max(max(abs(end) for end in (*x, *y)).bit_length(), 1)
    return (0 if min(x[0], y[0]) >= 0 else -largest), largest - 1


def _negated(node: fx.Node, found: Found) -> Range | None:
    x = _of(node.args[0], found)
    return None if x is None else (-x[1], -x[0])


def _inverted(node: fx.Node, found: Found) -> Range | None:
    x = _of(node.args[0], found)
    return None if x is None else (-x[1] - 1, -x[0] - 1)


def _magnitude(node: fx.Node, found: Found) -> Range | None:
    x = _of(node.args[0], found)
    return None if x is None else (0 if x[0] <= 0 <= x[1] else min(map(abs, x)), max(map(abs, x)))


def _joined(node: fx.Node, found: Found) -> Range | None:
    tensors = [each for each in node.all_input_nodes if isinstance(each.meta.get("val"), Tensor)]
    if op_name(node) == "where":
        tensors = [each for each in node.args[1:] if isinstance(each, fx.Node)]
    ranges = [_of(each, found) for each in tensors]
    known = [each for each in ranges if each is not None]
    if not known or len(known) != len(ranges):
        return None
    return min(each[0] for each in known), max(each[1] for each in known)


def _chosen(node: fx.Node, found: Found) -> Range | None:
    """Of `where`; `where(x < 0 or x >= n, y, x)` leaves x within [0, n)."""
    condition, y, x = node.args[:3]
    sides = condition.args if isinstance(condition, fx.Node) and op_name(condition) in _EITHER else ()
    below, beyond = (each if isinstance(each, fx.Node) else None for each in (*sides, None, None)[:2])
    given = _of(y, found)
    if below is None or beyond is None or given is None:
        return _joined(node, found)
    compared = op_name(below) == "lt" and op_name(beyond) == "ge" and below.args[0] is beyond.args[0] is x
    lowest, end = _of(below.args[1], found), _of(beyond.args[1], found)
    if not compared or lowest is None or end is None:
        return _joined(node, found)
    return min(lowest[0], given[0]), max(end[1] - 1, given[1])


def _clamped(node: fx.Node, found: Found) -> Range | None:
    low, high = (_of(each, found) for each in (*node.args[1:], None, None)[:2])
    x = _of(node.args[0], found) or (-(2**63), 2**63 - 1)
    if high is not None:
        x = min(x[0], high[0]), min(x[1], high[1])
    if low is not None:
        x = max(x[0], low[0]), max(x[1], low[1])
    return x if low is not None and high is not None else None


# Where these have their axis among the arguments, and which it is by default.
_AXES: dict[str, tuple[int, int | None]] = {
    **dict.fromkeys(("argmax", "argmin", "max", "min"), (1, None)),
    **dict.fromkeys(("argsort", "sort"), (1, -1)),
    "topk": (2, -1),
}


def _ranked(node: fx.Node, found: Found) -> Range | None:
    """Of places along an axis of a known size."""
    ranked, (place, default) = node.args[0], _AXES[op_name(node)]
    value = ranked.meta.get("val") if isinstance(ranked, fx.Node) else None
    axis = node.args[place] if len(node.args) > place else node.kwargs.get("dim", default)
    if not isinstance(value, Tensor) or not value.ndim or not isinstance(axis, int):
        return None
    size = value.shape[axis]
    return (0, size - 1) if isinstance(size, int) and size else None


def _item(node: fx.Node, found: Found) -> Range | None:
    """Of the second result of what ranks."""
    source = node.args[0]
    ranks = isinstance(source, fx.Node) and node.args[1] == 1 and op_name(source) in _AXES
    return _ranked(source, found) if ranks and isinstance(source, fx.Node) else None


_EITHER = frozenset(["logical_or", "bitwise_or"])


def _first(node: fx.Node, found: Found) -> Range | None:
    return _of(node.args[0], found)


def _steps(node: fx.Node, found: Found) -> Range | None:
    """Of an arange whose bounds are numbers; others follow a free size."""
    numbers = [each for each in node.args if isinstance(each, int)]
    if len(numbers) != len(node.args) or not numbers:
        return None
    steps = range(*numbers)
    return (min(steps[0], steps[-1]), max(steps[0], steps[-1])) if steps else None


STRUCTURAL = frozenset(
    [
        "alias",
        "clone",
        "contiguous",
        "expand",
        "flip",
        "permute",
        "select",
        "slice",
        "squeeze",
        "t",
        "transpose",
        "to_copy",
        "unsqueeze",
        "view",
    ]
)
_RULES: dict[str, Rule] = {
    **dict.fromkeys(STRUCTURAL, _first),
    **dict.fromkeys(("index", "index_select", "gather", "amax", "amin"), _first),
    **dict.fromkeys(("cat", "stack"), _joined),
    **dict.fromkeys(("argmax", "argmin", "argsort"), _ranked),
    "where": _chosen,
    "clamp": _clamped,
    "getitem": _item,
    **dict.fromkeys(("embedding", "scalar_tensor"), _first),
    "arange": _steps,
    "add": lambda node, found: _scaled(node, found, 1),
    "sub": lambda node, found: _scaled(node, found, -1),
    "mul": _product,
    "bitwise_left_shift": _shifted_left,
    "bitwise_right_shift": _shifted_right,
    "bitwise_and": _bits,
    "bitwise_or": _bits,
    "bitwise_xor": _bits,
    "bitwise_not": _inverted,
    "remainder": _remainder,
    "floor_divide": _quotient,
    "neg": _negated,
    "abs": _magnitude,
    "sign": lambda node, found: (-1, 1),
}
