"""The smallest number that an integer of a MIL program can be, as far as the program itself proves it.

    select(x < 0 or x >= n, 0, x)    at least 0: where the condition does not hold, x is not below 0
    gather(table, ...)               at least the table's smallest number

What no rule knows has no bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from coremltools.converters.mil.mil import Operation, Var

Least = Mapping[str, int]

# Outputs are numbers of the first operand, moved about.
_MOVES = (
    *("expand_dims", "gather", "gather_along_axis", "gather_nd", "identity", "reshape"),
    *("slice_by_index", "slice_by_size", "squeeze", "tile", "transpose"),
)
_COUNTS = frozenset({"shape", "reduce_argmax", "reduce_argmin", "non_zero"})


def least(value: Var, inputs: Least) -> int | None:
    """The smallest number that `value` can hold; None where it is not known.

    Args:
        value: an integer.
        inputs: the smallest numbers of the program's inputs that are known, by name.
    """
    if value.val is not None:
        numbers = np.asarray(value.val)
        return int(numbers.min()) if numbers.dtype.kind in "iub" and numbers.size else None
    op = value.op
    if op is None:
        return inputs.get(value.name)
    if op.op_type in _COUNTS:
        return 0
    if op.op_type == "topk":
        return 0 if value is op.outputs[1] else least(op.x, inputs)
    rule = _RULES.get(op.op_type)
    return rule(op, inputs) if rule is not None else None


def _first(op: Operation, inputs: Least) -> int | None:
    return least(op.x, inputs)


def _cast(op: Operation, inputs: Least) -> int | None:
    return least(op.x, inputs) if op.dtype.val == "int32" else None  # 16 bits wrap around


def _select(op: Operation, inputs: Least) -> int | None:
    return _smallest(
        _with_facts(op.a, _facts(op.cond, True), inputs), _with_facts(op.b, _facts(op.cond, False), inputs)
    )


def _with_facts(value: Var, facts: Iterator[tuple[Var, int]], inputs: Least) -> int | None:
    bounds = [least(value, inputs), *(bound for known, bound in facts if _same(known, value))]
    return max((each for each in bounds if each is not None), default=None)


def _same(left: Var, right: Var) -> bool:
    return _source(left) is _source(right)


def _source(value: Var) -> Var:
    while value.op is not None and value.op.op_type == "identity":
        value = value.op.x
    return value


def _facts(condition: Var, holds: bool) -> Iterator[tuple[Var, int]]:
    """Values with numbers that they are not below, where the condition holds or does not."""
    op = condition.op
    if op is None:
        return
    if op.op_type in ("identity", "cast"):
        yield from _facts(op.x, holds)
    elif op.op_type == "logical_not":
        yield from _facts(op.x, not holds)
    elif op.op_type == ("logical_and" if holds else "logical_or"):
        yield from _facts(op.x, holds)
        yield from _facts(op.y, holds)
    elif op.op_type == ("greater_equal" if holds else "less") and op.y.val is not None:
        yield op.x, int(np.min(op.y.val))
    elif op.op_type == ("greater" if holds else "less_equal") and op.y.val is not None:
        yield op.x, int(np.min(op.y.val)) + 1


def _smallest(*bounds: int | None) -> int | None:
    known = [each for each in bounds if each is not None]
    return min(known) if known and len(known) == len(bounds) else None


def _largest(*bounds: int | None) -> int | None:
    return max((each for each in bounds if each is not None), default=None)


def _both(
    join: Callable[..., int | None],
) -> Callable[[Any, Least], int | None]:
    return lambda op, inputs: join(least(op.x, inputs), least(op.y, inputs))


_RULES: dict[str, Callable[[Any, Least], int | None]] = {
    **dict.fromkeys(_MOVES, _first),
    "cast": _cast,
    "select": _select,
    "maximum": _both(_largest),
    "minimum": _both(_smallest),
    "concat": lambda op, inputs: _smallest(*(least(each, inputs) for each in op.values)),
    "stack": lambda op, inputs: _smallest(*(least(each, inputs) for each in op.values)),
}
