"""Kernels of iOS17's run-time quantization: quantize, dequantize."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ExecutionError

Array = npt.NDArray[Any]
_DTYPES: dict[str, type[np.integer[Any]]] = {"int8": np.int8, "uint8": np.uint8}


def _along(given: Any, axis: Any, rank: int) -> Array:
    values: Array = np.asarray(given)
    if values.ndim == 0:
        return values
    if axis is None:
        raise ExecutionError(
            f"scale or zero_point has {values.size} values, and no axis to spread them along"
        )
    shape = [1] * rank
    shape[int(axis)] = values.size
    return values.reshape(shape)


def quantize(
    input: Array,  # noqa: A002 - the op's own name
    scale: Array,
    output_dtype: str,
    zero_point: Array | None = None,
    axis: Any = None,
) -> Array:
    """`clip(round(input / scale) + zero_point)` in `output_dtype`; halves round to the even neighbour."""
    if str(output_dtype) not in _DTYPES:
        raise ExecutionError(f"output_dtype {str(output_dtype)!r} is not known; expected int8 or uint8")
    dtype = _DTYPES[str(output_dtype)]
    codes = np.rint(input / _along(scale, axis, input.ndim))
    if zero_point is not None:
        codes += _along(zero_point, axis, input.ndim).astype(codes.dtype)
    limits = np.iinfo(dtype)
    return np.clip(codes, limits.min, limits.max).astype(dtype)


def dequantize(
    input: Array,  # noqa: A002 - the op's own name
    scale: Array,
    zero_point: Array | None = None,
    axis: Any = None,
) -> Array:
    """`scale · (input - zero_point)` in the dtype of `scale`."""
    dense: Array = input.astype(np.asarray(scale).dtype)
    if zero_point is not None:
        dense -= _along(zero_point, axis, input.ndim).astype(dense.dtype)
    dense *= _along(scale, axis, input.ndim)
    return dense


KERNELS: dict[str, Callable[..., Any]] = {"dequantize": dequantize, "quantize": quantize}
