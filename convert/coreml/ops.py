"""Lowerings to MIL that coremltools lacks or gets wrong: integer division, bits, shifts.

They are in force within `patches.our_lowerings(LOWERINGS)`.

coremltools is imported with this module, so import it inside functions. Core ML's integers have 32
bits; `int32` makes sure beforehand that nothing in the graph needs more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from coremltools.converters.mil.frontend.torch import ops as torch_ops
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name everywhere in the field
from coremltools.converters.mil.mil import Var, types

from pocketrec.convert.coreml.arguments import known
from pocketrec.convert.coreml.numbers import NUMBER_LOWERINGS
from pocketrec.convert.coreml.recurrent import RECURRENT_LOWERINGS
from pocketrec.convert.coreml.reductions import REDUCTION_LOWERINGS
from pocketrec.convert.coreml.sizes import SIZE_LOWERINGS
from pocketrec.errors import ConversionError

Lowering = Callable[[Any, Any], None]

_BITS = 31  # the sign bit is taken apart from the others


def _operands(context: Any, node: Any) -> tuple[Var, Var]:
    x, y = torch_ops._get_inputs(context, node)[:2]
    x, y = torch_ops.promote_input_dtypes([x, y])
    return x, y


def _is_int(value: Var) -> bool:
    return bool(types.is_int(value.dtype))


_floor_divide_float = torch_ops.floor_divide


def _floor_divide(context: Any, node: Any) -> None:
    """The quotient of integers as an integer; coremltools makes it a float32."""
    x, y = _operands(context, node)
    if not _is_int(x):
        _floor_divide_float(context, node)
        return
    context.add(mb.floor_div(x=x, y=y, name=node.name))


def _bits_of(value: Var) -> tuple[Var, Var]:
    """The low bits in a new last axis, and 1 where the sign bit is set, of two's complement."""
    wide = mb.expand_dims(x=value, axes=[-1])
    # Floor division is an arithmetic shift to the right, for negative numbers too.
    bits = mb.mod(x=mb.floor_div(x=wide, y=_powers()), y=np.int32(2))
    return bits, mb.cast(x=mb.less(x=value, y=np.int32(0)), dtype="int32")


def _powers() -> np.ndarray[Any, np.dtype[np.int32]]:
    return np.left_shift(np.int32(1), np.arange(_BITS, dtype=np.int32))


def _combine(kind: str, x: Var, y: Var) -> Var:
    """0 or 1 per bit."""
    both = mb.mul(x=x, y=y)
    if kind == "and":
        return both
    either = mb.sub(x=mb.add(x=x, y=y), y=both)
    return either if kind == "or" else mb.sub(x=either, y=both)


_LOGICAL = {"and": mb.logical_and, "or": mb.logical_or, "xor": mb.logical_xor}


def _bitwise(kind: str) -> Lowering:
    def lower(context: Any, node: Any) -> None:
        x, y = _operands(context, node)
        if types.is_bool(x.dtype):
            context.add(_LOGICAL[kind](x=x, y=y, name=node.name))
            return
        (x_bits, x_sign), (y_bits, y_sign) = _bits_of(x), _bits_of(y)
        low = mb.reduce_sum(x=mb.mul(x=_combine(kind, x_bits, y_bits), y=_powers()), axes=[-1])
        high = mb.mul(x=_combine(kind, x_sign, y_sign), y=np.int32(-(2**31)))
        context.add(mb.add(x=low, y=high, name=node.name))

    return lower


def _power_of_two(exponent: Var) -> Any:
    if exponent.val is not None:
        return np.left_shift(np.int32(1), np.asarray(exponent.val, np.int32))
    return mb.gather(x=_powers(), indices=exponent, axis=0)


def _shift(combine: Callable[..., Var]) -> Lowering:
    def lower(context: Any, node: Any) -> None:
        x, y = torch_ops._get_inputs(context, node)[:2]
        context.add(combine(x=x, y=_power_of_two(y), name=node.name))

    return lower


_SCATTER_MODES = {"prod": "mul", "amax": "max", "amin": "min"}


def _scatter_reduce(context: Any, node: Any) -> None:
    """Scatters over the first value; the rewrites leave no other forms."""
    x, dim, index, src, reduce = torch_ops._get_inputs(context, node)[:5]
    mode = _SCATTER_MODES[known(reduce)]
    context.add(
        mb.scatter_along_axis(data=x, indices=index, updates=src, axis=known(dim), mode=mode, name=node.name)
    )


def _clone(context: Any, node: Any) -> None:
    """A variable of its own; coremltools hands on the argument, which may be an input of the model."""
    x = torch_ops._get_inputs(context, node)[0]
    context.add(mb.identity(x=x, name=node.name))


_expand_unknown = torch_ops.expand


def _expand(context: Any, node: Any) -> None:
    """The tensor repeated along axes of size 1, known sizes known; coremltools' own forgets them all."""
    x, sizes = torch_ops._get_inputs(context, node)[:2]
    wanted = known(sizes)
    if wanted is None:  # a trace computes the shape
        _expand_unknown(context, node)
        return
    wanted = [known(each) if known(each) is not None else each for each in wanted]
    added = len(wanted) - x.rank
    if added:
        x = mb.expand_dims(x=x, axes=list(range(added)))
    repeats = [
        1 if not isinstance(want, Var) and (want == -1 or want == size) else want
        for size, want in zip(x.shape, wanted, strict=True)
    ]
    if all(not isinstance(each, Var) and each == 1 for each in repeats):
        context.add(mb.identity(x=x, name=node.name))
        return
    if any(isinstance(each, Var) for each in repeats):
        repeats = mb.concat(values=repeats, axis=0)
    context.add(mb.tile(x=x, reps=repeats, name=node.name))


def _prod(context: Any, node: Any) -> None:
    """The product of all elements, or along one axis."""
    x, *rest = torch_ops._get_inputs(context, node)
    if types.is_bool(x.dtype):
        x = mb.cast(x=x, dtype="int32")
    axis = known(rest[0]) if rest else None
    axes = list(range(x.rank)) if axis is None else [int(axis)]
    keep_dims = bool(known(rest[1])) if len(rest) > 1 else False
    context.add(mb.reduce_prod(x=x, axes=axes, keep_dims=keep_dims, name=node.name))


def _refuse_unique(context: Any, node: Any) -> None:
    raise ConversionError("how many values unique returns is known only when the model runs")


def _round_static(context: Any, node: Any) -> None:
    """The input of a dense layer rounded to 8 bits; what `pocketrec.quantize.activations` computes."""
    x, scale, zero_point = torch_ops._get_inputs(context, node)
    step, zero = np.float32(known(scale)), np.uint8(known(zero_point))
    codes = mb.quantize(input=x, scale=step, zero_point=zero, output_dtype="uint8")
    context.add(mb.dequantize(input=codes, scale=step, zero_point=zero, name=node.name))


LOWERINGS: dict[str, Lowering] = {
    "floor_divide": _floor_divide,
    **{f"bitwise_{kind}": _bitwise(kind) for kind in _LOGICAL},
    "bitwise_left_shift": _shift(mb.mul),
    "bitwise_right_shift": _shift(mb.floor_div),
    "clone": _clone,
    "expand": _expand,
    "pocketrec::round_static": _round_static,
    "prod": _prod,
    "prod.dim_int": _prod,
    "scatter_reduce.two": _scatter_reduce,
    "_unique2": _refuse_unique,
    **NUMBER_LOWERINGS,
    **REDUCTION_LOWERINGS,
    **RECURRENT_LOWERINGS,
    **SIZE_LOWERINGS,
}
