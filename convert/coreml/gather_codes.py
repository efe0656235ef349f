"""A compressed table as a plain constant of codes, of which a program gathers rows and dequantizes those.

The table stays compressed in memory by construction, whatever the system makes of constexpr ops.
Only lookups can read it so; a product would have to dequantize all of it in every call.

coremltools is imported with this module, so import it inside functions.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
from coremltools.converters.mil.mil import Block, Builder, Operation, Var

from pocketrec.errors import CannotCarry
from pocketrec.quantize.tensor import LinearTensor, QuantizedTensor

LOWEST_TARGET = "iOS17"  # gather of 8-bit integers
_DTYPES = {np.float16: "fp16", np.float32: "fp32"}


def check_gathered(tensor: QuantizedTensor, minimum_deployment_target: str) -> LinearTensor:
    """The tensor, proved to be one whose rows can be gathered as codes; else CannotCarry with the reason."""
    if minimum_deployment_target < LOWEST_TARGET:
        raise CannotCarry(
            f"{tensor.name}: gather_codes needs minimum_deployment_target {LOWEST_TARGET}, the recipe "
            f"asks for {minimum_deployment_target}; raise it, or leave the tensor out of gather_codes"
        )
    fits = isinstance(tensor, LinearTensor) and tensor.bits == 8 and tensor.granularity != "per_block"
    if not isinstance(tensor, LinearTensor) or not fits or len(tensor.shape) != 2:
        raise CannotCarry(
            f"{tensor.name}: gather_codes reads linear tables of 8 bits per row or tensor; this is "
            f"{tensor.describe()}; change its scheme, or leave it out of gather_codes"
        )
    return tensor


def gather_codes(block: Block, table: Var, tensor: LinearTensor) -> None:
    """Rewrites every lookup of the constant `table` in `block`; CannotCarry where something else reads it."""
    lookups = list(table.child_ops)
    others = [each for each in lookups if not _is_lookup(each, table)]
    if others or table in block.outputs:
        reader = others[0].op_type if others else "the output"
        raise CannotCarry(
            f"{tensor.name}: gather_codes serves lookups only, and {reader} reads the table too; "
            "leave it out of gather_codes, so that both share one constexpr op"
        )
    dtype = np.asarray(table.val).dtype.type
    with block:
        codes = _constant(block, tensor.codes, tensor, "codes")
        scales = _constant(block, tensor.scales.astype(dtype), tensor, "scales")
        zeros = None
        if tensor.zero_points is not None:
            zeros = _constant(block, tensor.zero_points, tensor, "zero_points")
        for each in lookups:
            rows = _dequantized(each, codes, scales, zeros, _DTYPES[dtype])
            block.replace_uses_of_var_after_op(
                anchor_op=each, old_var=each.outputs[0], new_var=rows, no_check_var_types=True
            )
    block.remove_ops(lookups)


def _is_lookup(op: Operation, table: Var) -> bool:
    return bool(op.op_type == "gather" and op.x is table and op.axis.val == 0)


def _constant(block: Block, values: npt.NDArray[Any], tensor: LinearTensor, kind: str) -> Var:
    name = re.sub(r"\W", "_", f"{tensor.name}_{kind}")
    return Builder.const(val=values, before_op=block.operations[0], name=name)


def _dequantized(lookup: Any, codes: Var, scales: Var, zeros: Var | None, dtype: str) -> Var:
    """`(codes[ids] - zeros[ids]) * scales[ids]`, under the lookup's own name."""

    def picked(table: Var) -> Var:
        if table.shape[0] == 1 != codes.shape[0]:
            return table  # one for the whole tensor
        return Builder.gather(
            x=table,
            indices=lookup.indices,
            axis=0,
            validate_indices=lookup.validate_indices,
            before_op=lookup,
        )

    rows = Builder.cast(x=picked(codes), dtype=dtype, before_op=lookup)
    if zeros is not None:
        shift = Builder.cast(x=picked(zeros), dtype=dtype, before_op=lookup)
        rows = Builder.sub(x=rows, y=shift, before_op=lookup)
    return Builder.mul(x=rows, y=picked(scales), before_op=lookup, name=lookup.outputs[0].name)
