"""Passes that take out of a program what its numbers do not need; each leaves every number as it was.

    index guards    negative indices are moved up before each gather; not where none can be negative
    zero biases     a product with a catalogue needs no constant of zeros as long as the catalogue
    reshapes        a product takes any number of leading axes, so they need not be merged for it
    widenings       values that are widened one by one and then joined are joined first
    repeated        a constant that repeats itself is stored once, where reading it broadcasts it

coremltools is imported with this module, so import it inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import numpy as np
from coremltools.converters.mil.mil import Block, Builder, Function, Program, Var, types
from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass

from pocketrec.convert.coreml.least import Least, least
from pocketrec.convert.lower.repeated import repeated_axes
from pocketrec.source.stubs import Stub

INDEX_GUARDS = "pocketrec::drop_index_guards"
ZERO_BIASES = "pocketrec::drop_zero_biases"
RESHAPES = "pocketrec::drop_reshapes"
WIDENINGS = "pocketrec::join_before_widening"
REPEATED = "pocketrec::shrink_repeated_constants"
_LINEAR_RANK = 3  # the most axes that Core ML documents for `linear`
_FEWEST = 3  # values that are worth a join of their own
_BROADCASTING = frozenset(
    {"select", "add", "sub", "mul", "real_div", "maximum", "minimum", "less", "less_equal", "greater"}
    | {"greater_equal", "equal", "not_equal", "logical_and", "logical_or"}
)


def _operations(prog: Program) -> Iterator[tuple[Function, Any]]:
    for function in prog.functions.values():
        for op in list(function.operations):
            if op.enclosing_block is function:
                yield function, op


def _replace(block: Block, old: Var, new: Var) -> None:
    anchor: Any = old.op  # None, for an input of the block, means its start
    block.replace_uses_of_var_after_op(
        anchor_op=anchor, old_var=old, new_var=new, no_check_var_types=True, force_replace=True
    )


class drop_index_guards(AbstractGraphPass):  # type: ignore[misc]  # noqa: N801 - a pipeline takes this name
    """Indices as they are, in place of `select(i >= 0, i, i + size)`, where no index can be negative."""

    inputs: Callable[[], Least] = dict  # an option has to be there to be set, and is text or callable

    def apply(self, prog: Program) -> None:
        """Rewrites every function of `prog` in place."""
        known = self.inputs()
        for function, op in _operations(prog):
            if op.op_type in ("gather", "gather_nd") and _is_guard(op.indices.op):
                bound = least(op.indices.op.a, known)
                if bound is not None and bound >= 0:
                    _replace(function, op.indices, op.indices.op.a)


def _is_guard(op: Any) -> bool:
    if op is None or op.op_type != "select" or op.cond.op is None or op.b.op is None:
        return False
    compared, moved = op.cond.op, op.b.op
    return bool(
        compared.op_type == "greater_equal"
        and compared.x is op.a
        and np.array_equal(compared.y.val, 0)
        and moved.op_type == "add"
        and moved.x is op.a
    )


class drop_zero_biases(AbstractGraphPass):  # type: ignore[misc]  # noqa: N801 - a pipeline takes this name
    """A matmul in place of a linear layer that has more outputs than inputs and only zeros as its bias."""

    def apply(self, prog: Program) -> None:
        """Rewrites every function of `prog` in place."""
        for function, op in _operations(prog):
            if op.op_type != "linear" or op.weight.shape[0] <= op.weight.shape[1]:
                continue
            bias = op.bias.val  # None where it is stored as codes
            if bias is None or isinstance(bias, Stub) or np.any(bias):
                continue
            with function:
                product = Builder.matmul(
                    x=op.x, y=op.weight, transpose_y=True, before_op=op, name=op.outputs[0].name
                )
            _replace(function, op.outputs[0], product)
            function.remove_ops([op])


class drop_reshapes(AbstractGraphPass):  # type: ignore[misc]  # noqa: N801 - a pipeline takes this name
    """The product as it is, where reshapes merge its leading axes before it and split them after it.

    `linear` takes up to three axes, `matmul` any number.
    """

    def apply(self, prog: Program) -> None:
        """Rewrites every function of `prog` in place."""
        for function, op in _operations(prog):
            product = op.x.op if op.op_type == "reshape" else None
            if product is None or len(op.x.child_ops) != 1 or op.x in function.outputs:
                continue
            whole = _unmerged(function, product, op)
            if whole is not None:
                _replace(function, op.outputs[0], whole)
                function.remove_ops([op])


def _unmerged(function: Function, product: Any, after: Any) -> Var | None:
    """The product of what the reshapes before it read; None where they do more than to merge."""
    result, name = after.outputs[0], after.outputs[0].name
    if product.op_type == "linear":
        x = _before_merge(product.x, 1)
        if x is None or x.rank > _LINEAR_RANK or x.shape[:-1] != result.shape[:-1]:
            return None
        with function:
            made: Var = Builder.linear(
                x=x, weight=product.weight, bias=product.bias, before_op=after, name=name
            )
        return made
    if product.op_type != "matmul":
        return None
    x, y = _before_merge(product.x, 2), _before_merge(product.y, 2)
    if x is None or y is None or not x.shape[:-2] == y.shape[:-2] == result.shape[:-2]:
        return None
    turned = {"transpose_x": product.transpose_x, "transpose_y": product.transpose_y}
    with function:
        made = Builder.matmul(x=x, y=y, **turned, before_op=after, name=name)
    return made


def _before_merge(value: Var, kept: int) -> Var | None:
    """What a reshape reads that leaves the last axes as they are; None where there is no such reshape."""
    op: Any = value.op
    if op is None or op.op_type != "reshape" or op.x.rank <= kept:
        return None
    before: Var = op.x
    return before if before.shape[-kept:] == value.shape[-kept:] else None


class join_before_widening(AbstractGraphPass):  # type: ignore[misc]  # noqa: N801 - as above
    """One cast of a concat in place of a concat of casts, for neighbours that are float16 before it."""

    def apply(self, prog: Program) -> None:
        """Rewrites every function of `prog` in place."""
        for function, op in _operations(prog):
            if op.op_type != "concat" or op.interleave.val:
                continue
            values = [each for group in _neighbours(op) for each in _joined(function, op, group)]
            if len(values) == len(op.values):
                continue
            if len(values) == 1:
                _replace(function, op.outputs[0], values[0])
                continue
            with function:
                whole = Builder.concat(values=values, axis=op.axis, before_op=op, name=op.outputs[0].name)
            _replace(function, op.outputs[0], whole)
            function.remove_ops([op])


def _neighbours(op: Any) -> Iterator[list[Var]]:
    for _, group in groupby(op.values, key=lambda value: _is_widened(value)):
        yield list(group)


def _is_widened(value: Var) -> bool:
    op: Any = value.op
    widened = op is not None and op.op_type == "cast" and op.x.dtype == types.fp16
    return bool(widened and value.dtype == types.fp32)


def _joined(function: Function, op: Any, group: list[Var]) -> list[Var]:
    if len(group) < _FEWEST or not _is_widened(group[0]):
        return group
    narrow: list[Any] = [value.op for value in group]
    with function:
        together = Builder.concat(values=[each.x for each in narrow], axis=op.axis, before_op=op)
        return [Builder.cast(x=together, dtype="fp32", before_op=op)]


class shrink_repeated_constants(AbstractGraphPass):  # type: ignore[misc]  # noqa: N801 - as above
    """A constant once, in place of one that repeats the same numbers along an axis.

    Only where every reader broadcasts that axis, and gives the same shape as before.
    """

    def apply(self, prog: Program) -> None:
        """Rewrites every function of `prog` in place."""
        for function, op in _operations(prog):
            if op.op_type == "const" and op.outputs[0] not in function.outputs:
                _shrink(function, op.outputs[0])


def _shrink(function: Function, value: Var) -> None:
    readers: list[Any] = list(value.child_ops)
    numbers: Any = value.val
    axes = [
        axis
        for axis in repeated_axes(numbers)
        if readers and all(_broadcasts(op, value, axis) for op in readers)
    ]
    if not axes:
        return
    first = tuple(slice(0, 1 if axis in axes else None) for axis in range(value.rank))
    once = np.ascontiguousarray(numbers[first])
    with function:
        small = Builder.const(val=once, before_op=value.op, name=f"{value.name}_once")
    _replace(function, value, small)


def _broadcasts(op: Any, value: Var, axis: int) -> bool:
    """Whether the other operands alone give the op's result its size on that axis of the constant."""
    others = [each for each in op.inputs.values() if isinstance(each, Var) and each is not value]
    if op.op_type == "matmul":
        others = [each for each in (op.x, op.y) if each is not value]
        if axis >= value.rank - 2:
            return False
    elif op.op_type not in _BROADCASTING:
        return False
    whole = tuple(op.outputs[0].shape)
    shapes = [tuple(each.shape) for each in others]
    same_rank = all(len(shape) == len(whole) == value.rank for shape in shapes)
    return same_rank and any(shape[axis] == whole[axis] for shape in shapes)


LEAN: tuple[type, ...] = (
    drop_index_guards,
    drop_zero_biases,
    drop_reshapes,
    join_before_widening,
    shrink_repeated_constants,
)
