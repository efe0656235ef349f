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


_REASON = "no target has it"

RULES = tuple(
    OpRule(name=f"{op.overloadpacket.__name__}_to_polynomials", op=op, replace=replace, reason=_REASON)
    for op, replace in (
        (aten.erfinv.default, erfinv),
        (aten.lgamma.default, lgamma),
    )
)
