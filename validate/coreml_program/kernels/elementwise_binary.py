"""Kernels of two broadcast tensors: arithmetic, comparison and logic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ExecutionError

Array = npt.NDArray[Any]


def _is_integer(x: Array, y: Array) -> bool:
    return np.result_type(x, y).kind in "iu"


def _check_divisor(x: Array, y: Array) -> None:
    if _is_integer(x, y) and not np.all(y):
        place = [int(part) for part in np.argwhere(np.asarray(y) == 0)[0]]
        raise ExecutionError(f"y is 0 at {place}: an integer divided by zero is undefined")


def add(x: Array, y: Array) -> Array:
    """`x + y`; integers wrap."""
    result: Array = np.add(x, y)
    return result


def sub(x: Array, y: Array) -> Array:
    """`x - y`; integers wrap."""
    result: Array = np.subtract(x, y)
    return result


def mul(x: Array, y: Array) -> Array:
    """`x · y`; integers wrap."""
    result: Array = np.multiply(x, y)
    return result


def real_div(x: Array, y: Array) -> Array:
    """`x / y`; of integers the quotient, which the declared int32 output truncates toward zero."""
    _check_divisor(x, y)
    result: Array = np.true_divide(x, y)
    return result


def floor_div(x: Array, y: Array) -> Array:
    """`x / y` rounded towards negative infinity."""
    _check_divisor(x, y)
    result: Array = np.floor_divide(x, y)
    return result


def mod(x: Array, y: Array) -> Array:
    """`x - y · floor(x / y)`, which has the sign of `y`."""
    _check_divisor(x, y)
    result: Array = np.mod(x, y)
    return result


def pow(x: Array, y: Array) -> Array:  # noqa: A001 - the op's own name
    """`x` to the power of `y`; integers through float64, so that a negative power truncates."""
    base = np.asarray(x, dtype=np.float64) if _is_integer(x, y) else x
    result: Array = np.power(base, y)
    return result


def maximum(x: Array, y: Array) -> Array:
    """The larger of `x` and `y`; NaN where either is."""
    result: Array = np.maximum(x, y)
    return result


def minimum(x: Array, y: Array) -> Array:
    """The smaller of `x` and `y`; NaN where either is."""
    result: Array = np.minimum(x, y)
    return result


KERNELS: dict[str, Callable[..., Any]] = {
    "add": add,
    "equal": lambda x, y: np.equal(x, y),
    "floor_div": floor_div,
    "greater": lambda x, y: np.greater(x, y),
    "greater_equal": lambda x, y: np.greater_equal(x, y),
    "less": lambda x, y: np.less(x, y),
    "less_equal": lambda x, y: np.less_equal(x, y),
    "logical_and": lambda x, y: np.logical_and(x, y),
    "logical_or": lambda x, y: np.logical_or(x, y),
    "logical_xor": lambda x, y: np.logical_xor(x, y),
    "maximum": maximum,
    "minimum": minimum,
    "mod": mod,
    "mul": mul,
    "not_equal": lambda x, y: np.not_equal(x, y),
    "pow": pow,
    "real_div": real_div,
    "sub": sub,
}
