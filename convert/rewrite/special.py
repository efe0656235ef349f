"""Special functions of probability, which no target has, from polynomials and logarithms in float32."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pocketrec.convert.rewrite.ops import OpRule

aten = torch.ops.aten

# M. Giles, Approximating the erfinv function, GPU Computing Gems 2 (2011), single precision.
_CENTRAL = (
    *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087),
    *(-0.00125372503, -0.00417768164, 0.246640727, 1.50140941),
)
_TAILS = (
    *(-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773),
    *(-0.0076224613, 0.00943887047, 1.00167406, 2.83297682),
)
# W. Press et al., Numerical Recipes (1992), erfcc: erfc(z) = t exp(P(t) - z^2), t = 1 / (1 + z / 2).
_TAIL = (
    *(0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807),
    *(-0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223),
)
_SHIFT = 6  # from here on three terms of Stirling's series are exact in float32


def _polynomial(coefficients: Sequence[float], x: Tensor) -> Tensor:
    result = torch.full_like(x, coefficients[0])
    for each in coefficients[1:]:
        result = result * x + each
    return result


def erfinv(input: Tensor) -> Any:  # noqa: A002 - its name in PyTorch
    """What torch.erfinv gives: infinite at -1 and 1, not a number beyond."""
    if input.dtype != torch.float32:
        return NotImplemented
    w = -((1 - input) * (1 + input)).log()
    central = _polynomial(_CENTRAL, w.clamp(max=5) - 2.5)
    tails = _polynomial(_TAILS, w.clamp(min=5, max=18).sqrt() - 3)
    inside = torch.where(w < 5, central, tails) * input
    return torch.where(input.abs() == 1, input * math.inf, inside)


def lgamma(input: Tensor) -> Any:  # noqa: A002
    """What torch.lgamma gives: infinite at 0 and at negative whole numbers."""
    if input.dtype != torch.float32:
        return NotImplemented
    reflected = input < 0.5
    x = torch.where(reflected, 1 - input, input)
    product = x
    for step in range(1, _SHIFT):
        product = product * (x + step)
    shifted = x + _SHIFT
    series = 1 / (12 * shifted) - 1 / (360 * shifted**3) + 1 / (1260 * shifted**5)
    stirling = (shifted - 0.5) * shifted.log() - shifted + 0.5 * math.log(2 * math.pi) + series
    # A large argument needs no shift, and its product would be infinite.
    large = (x - 0.5) * x.log() - x + 0.5 * math.log(2 * math.pi) + 1 / (12 * x)
    positive = torch.where(x > 100, large, stirling - product.clamp(max=1e15).log())
    sine = (math.pi * (input - input.round()).abs()).sin()
    found = torch.where(reflected, math.log(math.pi) - sine.log() - positive, positive)
    return torch.where(input.abs() == math.inf, math.inf, found)


def digamma(input: Tensor) -> Any:  # noqa: A002
    """What torch.digamma gives: minus infinity at 0, not a number at negative whole numbers."""
    if input.dtype != torch.float32:
        return NotImplemented
    reflected = input < 0.5
    x = torch.where(reflected, 1 - input, input)
    shifted = x + _SHIFT
    inverse = 1 / (shifted * shifted)
    series = shifted.log() - 0.5 / shifted - inverse * (1 / 12 - inverse * (1 / 120 - inverse / 252))
    for step in range(_SHIFT):
        series = series - 1 / (x + step)
    # The tangent has period 1 here, and is exact for what is left of the number.
    angle = math.pi * (input - input.round())
    found = torch.where(reflected, series - math.pi * angle.cos() / angle.sin(), series)
    whole = torch.logical_and(input <= 0, input == input.round())
    found = torch.where(whole, torch.where(input == 0, -math.inf, math.nan), found)
    return torch.where(input == math.inf, math.inf, found)


def log_ndtr(input: Tensor) -> Any:  # noqa: A002
    """What torch.special.log_ndtr gives, also where the probability itself is 0 in float32."""
    if input.dtype != torch.float32:
        return NotImplemented
    z = input.abs() * math.sqrt(0.5)
    t = 1 / (1 + 0.5 * z)
    log_tail = t.log() - z * z + _polynomial(_TAIL, t) - math.log(2)  # of the side without 0
    tail = log_tail.exp()
    little = -tail * (1 + tail * (0.5 + tail / 3))
    above = torch.where(tail < 1e-2, little, (1 - tail).log())
    return torch.where(input < 0, log_tail, above)


_REASON = "no target has it"

RULES = tuple(
    OpRule(name=f"{op.overloadpacket.__name__}_to_polynomials", op=op, replace=replace, reason=_REASON)
    for op, replace in (
        (aten.erfinv.default, erfinv),
        (aten.lgamma.default, lgamma),
        (aten.digamma.default, digamma),
        (aten.special_log_ndtr.default, log_ndtr),
    )
)
