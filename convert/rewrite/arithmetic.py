"""Arithmetic that a target lacks or gets wrong, in other arithmetic with the same numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketrec.convert.rewrite.ops import OpRule

aten = torch.ops.aten


def fmod(dividend: Tensor, divisor: Tensor | float) -> Tensor:
    """What torch.fmod gives: a remainder of magnitudes, exact where a quotient would be rounded."""
    size = divisor.abs() if isinstance(divisor, Tensor) else abs(divisor)
    return torch.sign(dividend) * torch.remainder(dividend.abs(), size)


def add(x: Tensor, y: Any, *, alpha: float = 1) -> Any:
    """What torch.add gives where `alpha` is not 1."""
    return NotImplemented if alpha == 1 else x + y * alpha


def sub(x: Tensor, y: Any, *, alpha: float = 1) -> Any:
    """What torch.sub gives where `alpha` is not 1."""
    return NotImplemented if alpha == 1 else x - y * alpha


def addbmm(start: Tensor, x: Tensor, y: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """What torch.addbmm gives."""
    return start * beta + torch.bmm(x, y).sum(0) * alpha


def addmv(start: Tensor, x: Tensor, y: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """What torch.addmv gives."""
    return start * beta + torch.mv(x, y) * alpha


def cummax(x: Tensor, dim: int) -> Any:
    """What torch.cummax gives: the largest of what is not after a place, and the last place of it."""
    if x.ndim == 0:
        return NotImplemented
    last = x.movedim(dim, -1)
    places = torch.arange(last.shape[-1])
    before = places <= places.unsqueeze(-1)
    values = torch.where(before, last.unsqueeze(-2), last[..., :1].unsqueeze(-2)).amax(-1)
    largest = before & (last.unsqueeze(-2) == values.unsqueeze(-1))
    indices = (largest.to(torch.int64) * places).amax(-1)
    return values.movedim(-1, dim), indices.movedim(-1, dim)


def cummin(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """What torch.cummin gives: the largest of the negated values."""
    values, indices = torch.cummax(-x, dim)
    return -values, indices


def trunc(x: Tensor) -> Tensor:
    """What torch.trunc gives."""
    return torch.sign(x) * torch.floor(x.abs()) if x.is_floating_point() else x.clone()


# From here on a square in float32 adds nothing to 1, and may be infinite.
_LARGE = 1e4


def asinh(x: Tensor) -> Tensor:
    """What torch.asinh gives, for small, for large and for negative numbers too."""
    size = x.abs()
    near = torch.where(size < _LARGE, size, 1.0)
    small = torch.log1p(near + near * near / (1 + torch.sqrt(near * near + 1)))
    return torch.sign(x) * torch.where(size < _LARGE, small, torch.log(size) + math.log(2))


def acosh(x: Tensor) -> Tensor:
    """What torch.acosh gives, near 1 and for large numbers too."""
    above = torch.where(x < _LARGE, x, 1.0) - 1
    small = torch.log1p(above + torch.sqrt(above * (above + 2)))
    inside = torch.where(x < _LARGE, small, torch.log(x) + math.log(2))
    return torch.where(x < 1, math.nan, inside)


# W. Press et al., Numerical Recipes in C (1992), 6.2: off by at most 1.2e-7 of erfc(x) itself.
_ERFC = (
    *(0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807),
    *(-0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223),
)


def erfc(x: Tensor) -> Tensor:
    """What torch.erfc gives; its tail is no difference from 1."""
    size = x.abs().clamp(max=20.0)  # where it is 0 in float32
    t = 1 / (1 + 0.5 * size)
    power = torch.full_like(t, _ERFC[0])
    for each in _ERFC[1:]:
        power = power * t + each
    tail = t * torch.exp(power - size * size)
    return torch.where(x > 0.5, tail, 1 - torch.erf(x))


def isinf(x: Tensor) -> Tensor:
    """What torch.isinf gives: no finite number is above the largest one."""
    if not x.is_floating_point():
        return torch.zeros_like(x, dtype=torch.bool)
    return x.abs() > torch.finfo(torch.float32).max


def reciprocal(x: Tensor) -> Tensor:
    """What torch.reciprocal gives; coremltools adds 1e-4 to the divisor."""
    return torch.full_like(x, 1.0, dtype=torch.get_default_dtype()) / x


def clamp(x: Tensor, min: Tensor | None = None, max: Tensor | None = None) -> Tensor:  # noqa: A002
    """What torch.clamp gives for bounds that are tensors."""
    above = x if min is None else torch.maximum(x, min)
    return above if max is None else torch.minimum(above, max)


def bilinear(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """What torch.nn.functional.bilinear gives: x W y per output, plus the bias."""
    outputs, left, right = weight.shape
    flat = weight.permute(1, 0, 2).reshape(left, outputs * right)
    turned = (x @ flat).reshape(*x.shape[:-1], outputs, right)
    product = (turned * y.unsqueeze(-2)).sum(-1)
    return product if bias is None else product + bias


def hardtanh(x: Tensor, min_val: float = -1, max_val: float = 1) -> Tensor:
    """What hardtanh gives; the bounds take the input's dtype."""
    kind = float if x.is_floating_point() else int
    return torch.clamp(x, kind(min_val), kind(max_val))


def divide_rounded(x: Any, y: Any, *, rounding_mode: str | None = None) -> Any:
    """What torch.div gives for integers and a rounding mode, without a step in float32."""
    if rounding_mode is None or not isinstance(x, Tensor) or not _are_integers(x, y):
        return NotImplemented
    divisor = y if isinstance(y, Tensor) else torch.scalar_tensor(y, dtype=x.dtype)
    if rounding_mode == "floor":
        return aten.floor_divide.default(x, divisor)
    return aten.floor_divide.default(x.abs(), divisor.abs()) * (torch.sign(x) * torch.sign(divisor))


def floor_divide(x: Any, y: Any) -> Any:
    """What torch.floor_divide gives: of integers as it is, of others by torch.div."""
    if isinstance(x, Tensor) and isinstance(y, Tensor) and _are_integers(x, y):
        return NotImplemented
    return torch.div(x, y, rounding_mode="floor")


def _are_integers(*values: Any) -> bool:
    return all(isinstance(e, int) or (isinstance(e, Tensor) and not e.is_floating_point()) for e in values)


def full(size: Any, value: Any, *, dtype: torch.dtype | None = None, **options: Any) -> Any:
    """What torch.full gives for integers, bools, and without axes; coremltools fills with float32."""
    if not size:
        return torch.scalar_tensor(value, dtype=dtype or torch.tensor(value).dtype)
    if dtype is not None or isinstance(value, float):
        return NotImplemented
    implied = torch.bool if isinstance(value, bool) else torch.int64
    return aten.full.default(size, value, dtype=implied, **options)


def full_like(x: Tensor, value: Any, *, dtype: torch.dtype | None = None, **options: Any) -> Any:
    """What torch.full_like gives; coremltools fills with the value's own dtype."""
    kind = float if (dtype or x.dtype).is_floating_point else int
    if type(value) is kind or isinstance(value, bool):
        return NotImplemented
    return aten.full_like.default(x, kind(value), dtype=dtype, **options)


_SHIFTS: dict[Any, Callable[..., Tensor]] = {
    aten.__lshift__: torch.bitwise_left_shift,
    aten.__rshift__: torch.bitwise_right_shift,
}


def hypot(x: Tensor, y: Tensor) -> Tensor:
    """What torch.hypot gives, without a square that is 0 or infinite; infinity beside NaN."""
    x, y = x.abs(), y.abs()
    large, small = torch.maximum(x, y), torch.minimum(x, y)
    kept = (large > 0) & (large <= torch.finfo(large.dtype).max)
    ratio = torch.where(kept, small, 0.0) / torch.where(kept, large, 1.0)
    whole = large * torch.sqrt(1 + ratio * ratio)
    return torch.where((x == math.inf) | (y == math.inf), math.inf, whole)


def logcumsumexp(x: Tensor, dim: int) -> Any:
    """What torch.logcumsumexp gives, each sum about its own largest number."""
    if x.ndim == 0:
        return NotImplemented
    last = x.movedim(dim, -1).unsqueeze(-2)
    places = torch.arange(last.shape[-1])
    before = places <= places.unsqueeze(-1)
    return torch.where(before, last, -math.inf).logsumexp(-1).movedim(-1, dim)


def sign(x: Tensor) -> Any:
    """What torch.sign gives: 0 for what is no number."""
    if not x.is_floating_point():
        return NotImplemented
    return (x > 0).to(x.dtype) - (x < 0).to(x.dtype)


def signbit(x: Tensor) -> Tensor:
    """What torch.signbit gives, of -0 too, whose reciprocal is below 0."""
    return (x < 0) | (1 / x < 0) if x.is_floating_point() else x < 0


def _signs(x: Tensor) -> Tensor:
    """-1 or 1, by which a product keeps -0, as a choice on ONNX Runtime does not."""
    return torch.where(signbit(x), torch.full_like(x, -1.0), torch.ones_like(x))


def copysign(size: Tensor, x: Tensor | float) -> Tensor:
    """What torch.copysign gives."""
    dtype = torch.result_type(size, x)
    real = dtype if dtype.is_floating_point else torch.get_default_dtype()
    signs = _signs(x.to(real)) if isinstance(x, Tensor) else math.copysign(1, x)
    return size.to(real).abs() * signs


def atan2(y: Tensor, x: Tensor) -> Tensor:
    """What torch.atan2 gives, in the quadrant that the signs of zeros say; infinities count as equal."""
    if not (x.is_floating_point() and y.is_floating_point()):
        return torch.atan2(y.to(torch.float32), x.to(torch.float32))
    far, high = x.abs(), y.abs()
    large, small = torch.maximum(far, high), torch.minimum(far, high)
    ratio = torch.where(far == high, torch.where(large == 0, large, torch.ones_like(large)), small / large)
    angle = torch.atan(torch.where(torch.isnan(large), large, ratio))
    angle = torch.where(high > far, torch.pi / 2 - angle, angle)
    return torch.where(signbit(x), torch.pi - angle, angle) * _signs(y)


def rrelu(x: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, **_: Any) -> Any:
    """What torch.nn.functional.rrelu gives outside of training."""
    return NotImplemented if training else F.leaky_relu(x, (lower + upper) / 2)


def rsub(x: Tensor, other: float, alpha: float = 1) -> Tensor:
    """What `other - alpha * x` gives, in the dtype that PyTorch promotes to."""
    return x.to(torch.result_type(x, other)) * -alpha + other


def cumsum(x: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Any:
    """What torch.cumsum gives along an axis that is counted from the end."""
    return NotImplemented if dim >= -1 else aten.cumsum.default(x, dim + x.ndim, dtype=dtype)


def ldexp(x: Tensor, exponent: Tensor) -> Tensor:
    """What torch.ldexp gives."""
    return x * torch.pow(2.0, exponent)


def round_decimals(x: Tensor, *, decimals: int) -> Tensor:
    """What torch.round gives with decimals."""
    factor = 10.0 ** abs(decimals)
    return torch.round(x * factor) / factor if decimals >= 0 else torch.round(x / factor) * factor


def fmax(x: Tensor, y: Tensor) -> Tensor:
    """What torch.fmax gives: the number where the other is NaN."""
    return torch.where(torch.isnan(x), y, torch.where(torch.isnan(y), x, torch.maximum(x, y)))


def fmin(x: Tensor, y: Tensor) -> Tensor:
    """What torch.fmin gives: the number where the other is NaN."""
    return torch.where(torch.isnan(x), y, torch.where(torch.isnan(y), x, torch.minimum(x, y)))


def where(condition: Tensor, x: Tensor, y: Tensor) -> Any:
    """What torch.where gives for truth values."""
    if x.dtype != torch.bool or y.dtype != torch.bool:
        return NotImplemented
    return (condition & x) | (~condition & y)


def lerp(x: Tensor, y: Tensor, weight: Tensor | float) -> Tensor:
    """What torch.lerp gives."""
    return x + weight * (y - x)


def _lacks(op: Any, replace: Callable[..., Any], other: str) -> OpRule:
    name = op._schema.name.partition("::")[2].strip("_")
    return OpRule(name=f"{name}_to_{other}", op=op, replace=replace, reason=f"Core ML has no {name}")


RULES = (
    _lacks(aten.fmod.Tensor, fmod, "remainder"),
    _lacks(aten.fmod.Scalar, fmod, "remainder"),
    _lacks(aten.addbmm.default, addbmm, "bmm"),
    _lacks(aten.addmv.default, addmv, "mv"),
    _lacks(aten.cummax.default, cummax, "masked_max"),
    _lacks(aten.cummin.default, cummin, "cummax"),
    _lacks(aten.trunc.default, trunc, "floor"),
    _lacks(aten.asinh.default, asinh, "log"),
    _lacks(aten.acosh.default, acosh, "log"),
    _lacks(aten.erfc.default, erfc, "exp"),
    OpRule(
        name="logcumsumexp_to_masked_sums",
        op=aten.logcumsumexp.default,
        replace=logcumsumexp,
        reason="converters take the logarithm of a sum of powers, which is 0 or infinite",
    ),
    _lacks(aten.isinf.default, isinf, "comparison"),
    *(
        OpRule(
            name="integer_division",
            op=op,
            replace=divide_rounded,
            reason="both targets' converters divide integers as float32, which is wrong from 2^24 on",
        )
        for op in (aten.div.Tensor_mode, aten.div.Scalar_mode)
    ),
    *(
        OpRule(
            name="floor_division",
            op=op,
            replace=floor_divide,
            reason="both targets' converters divide integers as float32, which is wrong from 2^24 on",
        )
        for op in (aten.floor_divide.default, aten.floor_divide.Scalar)
    ),
    _lacks(aten.bilinear.default, bilinear, "products"),
    _lacks(aten.clamp.Tensor, clamp, "minimum_maximum"),
    OpRule(
        name="reciprocal_to_division",
        op=aten.reciprocal.default,
        replace=reciprocal,
        reason="coremltools adds 1e-4 to the divisor",
    ),
    *(
        OpRule(
            name="shift_operator_to_function",
            op=getattr(packet, overload),
            replace=function,
            reason="the operator's own op has no lowering, the function's has",
        )
        for packet, function in _SHIFTS.items()
        for overload in ("Scalar", "Tensor")
    ),
    OpRule(
        name="where_of_truths_to_logic",
        op=aten.where.self,
        replace=where,
        reason="ONNX Runtime chooses between numbers only",
    ),
    _lacks(aten.ldexp.Tensor, ldexp, "product"),
    _lacks(aten.round.decimals, round_decimals, "product"),
    _lacks(aten.fmax.default, fmax, "maximum"),
    _lacks(aten.fmin.default, fmin, "minimum"),
    OpRule(
        name="rsub_to_add",
        op=aten.rsub.Scalar,
        replace=rsub,
        reason="torch.onnx takes the number for a tensor where dtypes differ",
    ),
    OpRule(
        name="cumsum_axis_from_the_start",
        op=aten.cumsum.default,
        replace=cumsum,
        reason="Core ML counts no axis but the last from the end",
    ),
    _lacks(aten.hypot.default, hypot, "sqrt"),
    _lacks(aten.signbit.default, signbit, "comparison"),
    _lacks(aten.copysign.Tensor, copysign, "product"),
    _lacks(aten.copysign.Scalar, copysign, "product"),
    *(
        OpRule(
            name="sign_to_comparisons",
            op=op,
            replace=sign,
            reason="the sign of NaN is NaN on both targets",
        )
        for op in (aten.sign.default, aten.sgn.default)
    ),
    _lacks(aten.rrelu.default, rrelu, "leaky_relu"),
    OpRule(
        name="atan2_to_atan",
        op=aten.atan2.default,
        replace=atan2,
        reason="coremltools gives another quadrant where an argument is 0 or infinite",
    ),
    _lacks(aten.lerp.Scalar, lerp, "product"),
    _lacks(aten.lerp.Tensor, lerp, "product"),
    OpRule(
        name="hardtanh_to_clamp",
        op=aten.hardtanh.default,
        replace=hardtanh,
        reason="coremltools rejects integer bounds of a float",
    ),
    OpRule(
        name="full_with_dtype",
        op=aten.full.default,
        replace=full,
        reason="coremltools makes an integer without a dtype a float32",
    ),
    OpRule(
        name="full_like_with_dtype",
        op=aten.full_like.default,
        replace=full_like,
        reason="coremltools fills with the dtype of the number",
    ),
    OpRule(name="scaled_add_to_product", op=aten.add.Tensor, replace=add, reason="coremltools ignores alpha"),
    OpRule(name="scaled_sub_to_product", op=aten.sub.Tensor, replace=sub, reason="coremltools ignores alpha"),
)
