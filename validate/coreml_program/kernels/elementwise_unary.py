"""Kernels of one tensor, element by element: functions, rounding, bounds and cast."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ExecutionError

Array = npt.NDArray[Any]

_DTYPES = {
    "bool": np.bool_,
    "fp16": np.float16,
    "fp32": np.float32,
    "fp64": np.float64,
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "uint8": np.uint8,
    "uint16": np.uint16,
    "uint32": np.uint32,
    "uint64": np.uint64,
}


def cast(x: Array, dtype: str) -> Array:
    """`x` in `dtype`: floats truncate toward zero, integers too large wrap, bool is `x != 0`.

    A float that no int64 holds has no defined integer; the nearest bound of int32 is given.
    """
    if str(dtype) not in _DTYPES:
        raise ExecutionError(f"dtype {str(dtype)!r} is not known; expected one of {', '.join(_DTYPES)}")
    wanted = np.dtype(_DTYPES[str(dtype)])
    source = np.asarray(x)
    if source.dtype.kind == "f" and wanted.kind in "iu":
        return _to_integer(source, wanted)
    return source.astype(wanted)


def _to_integer(x: Array, wanted: np.dtype[Any]) -> Array:
    inside = np.abs(x) < 2.0**63  # False for NaN, which becomes 0
    if np.all(inside):
        return x.astype(np.int64).astype(wanted)
    limits = np.iinfo(np.int32)
    bounds = np.where(np.isnan(x), 0, np.where(x > 0, limits.max, limits.min))
    return np.where(inside, np.where(inside, x, 0).astype(np.int64), bounds).astype(wanted)


def clip(x: Array, alpha: Any, beta: Any) -> Array:
    """`x` held between `alpha` and `beta`; the upper bound wins where they cross."""
    result: Array = np.minimum(np.maximum(x, alpha), beta)
    return result


def threshold(x: Array, alpha: Any) -> Array:
    """`x`, at least `alpha`."""
    result: Array = np.maximum(x, alpha)
    return result


def inverse(x: Array, epsilon: Any = 1e-4) -> Array:
    """`1 / (x + epsilon)`."""
    result: Array = np.reciprocal(x + np.float32(epsilon))
    return result


def log(x: Array, epsilon: Any = 1e-45) -> Array:
    """The natural logarithm of `x + epsilon`."""
    result: Array = np.log(x + np.float32(epsilon))
    return result


def rsqrt(x: Array, epsilon: Any = 1e-12) -> Array:
    """`1 / sqrt(x + epsilon)`."""
    result: Array = 1.0 / np.sqrt(x + np.float32(epsilon))
    return result


# Below 1: the Maclaurin series of erf, 2/√π · Σ (-1)ⁿ x²ⁿ⁺¹ / (n! (2n+1)), highest power first.
_SERIES = tuple(
    2 / math.sqrt(math.pi) * (-1) ** n / (math.factorial(n) * (2 * n + 1)) for n in range(11, -1, -1)
)
# From 1 on: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26; off by at most 1.5e-7.
_TAIL = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592, 0.0)
_TAIL_SCALE = 0.3275911


def _polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    total: Array = np.full_like(x, coefficients[0])
    for each in coefficients[1:]:
        total *= x
        total += np.float32(each)
    return total


def erf(x: Array) -> Array:
    """The Gauss error function of `x`, in float32, within 2e-7 of its value. Source: op `erf`."""
    x = np.asarray(x, dtype=np.float32)
    far = np.abs(x)
    inner = x * _polynomial(np.square(np.minimum(far, 1)), _SERIES)
    outer = 1 - _polynomial(1 / (1 + _TAIL_SCALE * far), _TAIL) * np.exp(-np.square(far))
    result: Array = np.where(far < 1, inner, np.copysign(outer, x)).astype(np.float32)
    return result


def _kernel(function: Callable[[Array], Any]) -> Callable[[Array], Any]:
    return lambda x: function(x)


_FUNCTIONS: dict[str, Callable[[Array], Any]] = {
    "abs": np.abs,
    "acos": np.arccos,
    "asin": np.arcsin,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "ceil": np.ceil,
    "cos": np.cos,
    "cosh": np.cosh,
    "exp": np.exp,
    "exp2": np.exp2,
    "floor": np.floor,
    "logical_not": np.logical_not,
    "round": np.rint,  # halves to the even neighbour
    "sign": np.sign,
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "square": np.square,
    "tan": np.tan,
    "tanh": np.tanh,
}

KERNELS: dict[str, Callable[..., Any]] = {
    "cast": cast,
    "clip": clip,
    "erf": erf,
    "inverse": inverse,
    "log": log,
    "rsqrt": rsqrt,
    "threshold": threshold,
    **{op_type: _kernel(function) for op_type, function in _FUNCTIONS.items()},
}
