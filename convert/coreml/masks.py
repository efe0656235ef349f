"""Attention masks that float16 can hold: finite where PyTorch's are finite, fully masked rows included.

A mask of -3.4e38 or -1e9 is finite in float32, so a row that is masked throughout comes out of the
softmax as equal shares. In float16 it is -inf, and that row becomes NaN. coremltools is imported
with this module, so import it inside functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from coremltools.converters.mil.mil import Block, Builder, Operation, Program, Var
from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass

FLOAT16_MASKS = "pocketrec::float16_masks"

_LARGEST = 65504.0  # of float16
# A constant is cut to this; the sum of a score and it falls below the floor for scores up to 30,000.
_CUT = 6e4
# Everything masked, by select or by sum, is raised to this before it is compared: one number again.
_FLOOR = -3e4

_READERS = frozenset({"softmax", "reduce_max", "reduce_log_sum_exp"})
# The operands by which a mask travels from its constant to what reads it.
_TRAVELS = {
    **dict.fromkeys(("add", "sub", "mul", "maximum", "minimum"), ("x", "y")),
    **dict.fromkeys(("reshape", "expand_dims", "squeeze", "transpose", "tile", "band_part", "cast"), ("x",)),
    **dict.fromkeys(("slice_by_index", "slice_by_size", "identity"), ("x",)),
    **dict.fromkeys(("concat", "stack"), ("values",)),
    **dict.fromkeys(("fill", "fill_like"), ("value",)),
    "select": ("a", "b"),
}
# What stands between a maximum and the difference from it.
_ABOUT = frozenset({"sub", "select", "expand_dims", "reshape", "abs", "equal", "greater", "cast"})


class float16_masks(AbstractGraphPass):  # type: ignore[misc]  # noqa: N801 - a pipeline takes this name
    """Cut finite mask constants to float16, and raise what is masked to one number before its softmax.

    Rows that are masked by a literal -inf are left alone: there PyTorch's answer is NaN as well.
    """

    def apply(self, prog: Program) -> None:
        """Rewrites every function of `prog` in place."""
        for function in prog.functions.values():
            _rewrite(function)


def _rewrite(block: Block) -> None:
    for op in list(block.operations):
        for nested in op.blocks:
            _rewrite(nested)
        if op.op_type in _READERS:
            _settle(op)


def _settle(reader: Operation) -> None:
    constants = list(_constants(reader.x))
    wide = [(op, value) for op, value in constants if _is_wide(value)]
    for op, value in wide:
        _replace_operand(op, value)
    values: list[Any] = [value.val for _, value in constants]
    if wide and not any(np.isneginf(each).any() for each in values):
        _raise_to_floor(reader)


def _constants(start: Var) -> Iterator[tuple[Operation, Var]]:
    """Each op on the way to `start` with a float constant that it reads."""
    seen, waiting = {id(start)}, [start]
    while waiting:
        op = waiting.pop().op
        if op is None or op.op_type not in _TRAVELS:
            continue
        for operand in _TRAVELS[op.op_type]:
            given = op.inputs.get(operand)
            for value in given if isinstance(given, list | tuple) else (given,):
                if value is None or value.op is None:
                    continue
                if value.op.op_type == "const":
                    if np.asarray(value.val).dtype.kind == "f":
                        yield op, value
                elif id(value) not in seen:
                    seen.add(id(value))
                    waiting.append(value)


def _is_wide(value: Var) -> bool:
    numbers = np.abs(np.asarray(value.val))
    return bool((np.isfinite(numbers) & (numbers > _LARGEST)).any())


def _replace_operand(op: Operation, value: Var) -> None:
    numbers = np.asarray(value.val)
    cut = np.where(np.isfinite(numbers), np.clip(numbers, -_CUT, _CUT), numbers).astype(numbers.dtype)
    block = op.enclosing_block
    with block:
        narrow = Builder.const(val=cut, before_op=op, name=f"{value.name}_float16_mask")
    block.replace_uses_of_var_after_op(anchor_op=narrow.op, end_op=op, old_var=value, new_var=narrow)


def _raise_to_floor(reader: Operation) -> None:
    block, masked = reader.enclosing_block, reader.x
    with block:
        floor = np.asarray(_FLOOR, dtype=np.float32)
        raised = Builder.maximum(x=masked, y=floor, before_op=reader, name=f"{masked.name}_above_floor")
    for op in (reader, *_differences(reader, masked)):
        block.replace_uses_of_var_after_op(anchor_op=raised.op, end_op=op, old_var=masked, new_var=raised)


def _differences(reader: Operation, masked: Var) -> list[Operation]:
    """The ops that subtract a maximum from what it was taken of: a softmax or its logarithm in parts."""
    if reader.op_type != "reduce_max":
        return []
    after, waiting = set(), list(reader.outputs or ())
    while waiting:
        for op in waiting.pop().child_ops:
            if op.op_type in _ABOUT and id(op) not in after:
                after.add(id(op))
                waiting.extend(op.outputs)
    return [op for op in masked.child_ops if op.op_type == "sub" and op.x is masked and id(op) in after]
