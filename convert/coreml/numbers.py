"""Lowerings whose numbers are PyTorch's where coremltools' own are loose, drop an option, or add an epsilon.

MIL's `log`, `rsqrt` and `inverse` add an epsilon unless they are given one. Sums and differences of
numbers of very different size are written so that the small one is not lost.

coremltools is imported with this module, so import it inside functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from coremltools.converters.mil.frontend.torch import ops as torch_ops
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name everywhere in the field
from coremltools.converters.mil.mil import Var, types

from pocketrec.convert.coreml.arguments import arguments, as_float, known, number
from pocketrec.errors import ConversionError

Lowering = Callable[[Any, Any], None]

_TANH = "TANH_APPROXIMATION"


def _unary(make: Callable[[Var], Var]) -> Lowering:
    def lower(context: Any, node: Any) -> None:
        context.add(make(as_float(torch_ops._get_inputs(context, node)[0])), torch_name=node.name)

    return lower


def log(x: Var) -> Var:
    """The natural logarithm; minus infinity at 0."""
    return mb.log(x=x, epsilon=number(0, x))


def _log_to(base: float) -> Callable[[Var], Var]:
    return lambda x: mb.mul(x=log(x), y=number(1 / math.log(base), x))


def rsqrt(x: Var) -> Var:
    """`1 / sqrt(x)`; infinity at 0, and at -0."""
    return mb.rsqrt(x=x, epsilon=number(0, x))


def _rsqrt(x: Var) -> Var:
    """`1 / sqrt(x)`; minus infinity at -0, which adding an epsilon makes 0."""
    if _is_never_minus_zero(x):
        return rsqrt(x)
    return mb.real_div(x=number(1, x), y=mb.sqrt(x=x))


def _is_never_minus_zero(x: Var) -> bool:
    """Whether a constant other than 0 was added to what `x` is, as norms do."""
    if x.op is None or x.op.op_type != "add":
        return False
    constants = (known(each) for each in (x.op.x, x.op.y))
    return any(each is not None and bool(np.all(each)) for each in constants)


def reciprocal(x: Var) -> Var:
    """`1 / x`."""
    return mb.real_div(x=number(1, x), y=x)


def log1p(x: Var) -> Var:
    """`log(1 + x)`, with what rounding 1 + x loses of a small x given back."""
    one = number(1, x)
    whole = mb.add(x=x, y=one)
    lost = mb.real_div(x=mb.sub(x=mb.sub(x=whole, y=one), y=x), y=whole)
    small = mb.less(x=mb.abs(x=x), y=one)
    return mb.sub(x=log(whole), y=mb.select(cond=small, a=lost, b=number(0, x)))


def expm1(x: Var) -> Var:
    """`exp(x) - 1` as `tanh(x / 2) · (exp(x) + 1)`, which keeps a small x."""
    half = mb.tanh(x=mb.mul(x=x, y=number(0.5, x)))
    return mb.mul(x=half, y=mb.add(x=mb.exp(x=x), y=number(1, x)))


def _gelu(context: Any, node: Any) -> None:
    """Exact or by tanh; coremltools reads the option from one of its front ends only."""
    x, approximate = arguments(context, node, self=None, approximate="none")
    mode = _TANH if known(approximate) == "tanh" else "EXACT"
    context.add(mb.gelu(x=x, mode=mode, name=node.name))


def _elu(context: Any, node: Any) -> None:
    """With its three factors, of which coremltools reads the first."""
    x, *given = arguments(context, node, self=None, alpha=1.0, scale=1.0, input_scale=1.0)
    context.add(elu(x, *(float(known(each)) for each in given)), torch_name=node.name)


def _softplus(context: Any, node: Any) -> None:
    """With its threshold, from which on it is the number itself; coremltools has none."""
    x, *given = arguments(context, node, self=None, beta=1.0, threshold=20.0)
    beta, threshold = (number(float(known(each)), x) for each in given)
    steep = mb.mul(x=x, y=beta)
    soft = mb.real_div(x=mb.softplus(x=steep), y=beta)
    context.add(mb.select(cond=mb.greater(x=steep, y=threshold), a=x, b=soft), torch_name=node.name)


def _celu(context: Any, node: Any) -> None:
    """An ELU that is as steep at 0 whatever alpha is; coremltools has none."""
    x, alpha = arguments(context, node, self=None, alpha=1.0)
    context.add(elu(x, float(known(alpha)), 1.0, 1 / float(known(alpha))), torch_name=node.name)


def elu(x: Var, alpha: float, scale: float, steepness: float) -> Var:
    """`scale` times `x` above 0, else `scale · alpha · (exp(steepness · x) - 1)`."""
    if steepness == 1:
        whole = mb.elu(x=x, alpha=number(alpha, x))
    else:
        below = mb.mul(x=expm1(mb.mul(x=x, y=number(steepness, x))), y=number(alpha, x))
        whole = mb.select(cond=mb.greater(x=x, y=number(0, x)), a=x, b=below)
    return whole if scale == 1 else mb.mul(x=whole, y=number(scale, x))


def _clamp(context: Any, node: Any) -> None:
    """Within the bounds that are given, infinities too; integers stay integers."""
    x, low, high = arguments(context, node, self=None, min=None, max=None)
    ends = [known(low), known(high)]
    if types.is_float(x.dtype) and all(np.ndim(each) == 0 and each is not None for each in ends):
        below, above = (float(each) for each in ends)
        if -math.inf < below <= above < math.inf:
            context.add(mb.clip(x=x, alpha=number(below, x), beta=number(above, x), name=node.name))
            return
    for bound, limit in ((low, mb.maximum), (high, mb.minimum)):
        if bound is not None:
            x = limit(**dict(zip("xy", torch_ops.promote_input_dtypes([x, bound]), strict=True)))
    context.add(mb.identity(x=x), torch_name=node.name)


def _nan_to_num(context: Any, node: Any) -> None:
    """By choices; coremltools looks for the places, whose number is free."""
    x, *given = arguments(context, node, self=None, nan=0.0, posinf=None, neginf=None)
    ends = np.finfo(types.nptype_from_builtin(x.dtype))
    missing, high, low = (known(each) for each in given)
    high, low = float(ends.max) if high is None else high, float(ends.min) if low is None else low
    result = mb.select(cond=mb.not_equal(x=x, y=x), a=number(missing, x), b=x)
    for infinity, value in ((math.inf, high), (-math.inf, low)):
        found = mb.equal(x=x, y=number(infinity, x))
        result = mb.select(cond=found, a=number(value, x), b=result)
    context.add(result, torch_name=node.name)


def _remainder(context: Any, node: Any) -> None:
    """Of the divisor's sign, without a quotient that is rounded."""
    x, y = torch_ops.promote_input_dtypes(torch_ops._get_inputs(context, node)[:2])
    context.add(mb.mod(x=x, y=y, name=node.name))


def _pow(context: Any, node: Any) -> None:
    """PyTorch takes roots for these exponents, which differ from powers below 0."""
    x, y = torch_ops.promote_input_dtypes(torch_ops._get_inputs(context, node)[:2])
    exponent = y.val if y.val is not None and np.ndim(y.val) == 0 else None
    roots: dict[float, Callable[[Var], Var]] = {0.5: lambda x: mb.sqrt(x=x), -0.5: _rsqrt, -1.0: reciprocal}
    if types.is_float(x.dtype) and exponent is not None and float(exponent) in roots:
        context.add(roots[float(exponent)](x), torch_name=node.name)
    else:
        context.add(mb.pow(x=x, y=y, name=node.name))


def _linspace(context: Any, node: Any) -> None:
    """The numbers that PyTorch makes; NumPy's differ in the last bit, and so around 0."""
    import torch

    ends = [known(each) for each in arguments(context, node, start=None, end=None, steps=None)]
    if any(each is None for each in ends):
        _linspace_unknown(context, node)
        return
    start, end, steps = (np.asarray(each).item() for each in ends)
    context.add(mb.const(val=torch.linspace(start, end, int(steps)).numpy(), name=node.name))


_linspace_unknown = torch_ops.linspace


_constant_finite = torch_ops.constant


def _constant(context: Any, node: Any) -> None:
    """Infinities as such; coremltools makes 3.4e38 of them."""
    value = node.attr["value"]
    if isinstance(value, float) and math.isinf(value):
        context.add(mb.const(val=np.float32(value), name=node.name))
    else:
        _constant_finite(context, node)


def _nearest(lower: Lowering) -> Lowering:
    """Resizing to the nearest place by whole factors; MIL's places differ from PyTorch's by others."""

    def checked(context: Any, node: Any) -> None:
        x, size, *given = torch_ops._get_inputs(context, node)
        factors = [float(each) for scale in given if scale is not None for each in np.ravel(known(scale))]
        if not factors and isinstance(known(size), np.ndarray):
            sizes = zip(known(size), x.shape[2:], strict=True)
            factors = [to / since for to, since in sizes if isinstance(since, int)]
        if not all(each.is_integer() for each in factors):
            raise ConversionError("Core ML resizes to the nearest place by whole factors only")
        lower(context, node)

    return checked


def _refuse(reason: str) -> Lowering:
    def lower(context: Any, node: Any) -> None:
        raise ConversionError(reason)

    return lower


NUMBER_LOWERINGS: dict[str, Lowering] = {
    "log": _unary(log),
    "log2": _unary(_log_to(2)),
    "log10": _unary(_log_to(10)),
    "log1p": _unary(log1p),
    "expm1": _unary(expm1),
    "rsqrt": _unary(_rsqrt),
    "reciprocal": _unary(reciprocal),
    "gelu": _gelu,
    "elu": _elu,
    "celu": _celu,
    "softplus": _softplus,
    **dict.fromkeys(("clamp", "clip"), _clamp),
    "nan_to_num": _nan_to_num,
    "remainder": _remainder,
    **dict.fromkeys(("pow", "pow.tensor_tensor"), _pow),
    "constant": _constant,
    "linspace": _linspace,
    **{
        f"upsample_nearest{rank}d{suffix}": _nearest(getattr(torch_ops, f"upsample_nearest{rank}d"))
        for rank in (1, 2)
        for suffix in ("", ".vec")
    },
    **dict.fromkeys(
        ("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
        _refuse("Core ML has no resizing with antialias=True"),
    ),
}
