"""Kernels that reduce axes: sums, norms, extremes and their places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ExecutionError

Array = npt.NDArray[Any]


def _axes(axes: Any, rank: int) -> tuple[int, ...]:
    if axes is None:
        return tuple(range(rank))
    wanted = [int(axis) for axis in np.asarray(axes).reshape(-1)]
    if any(not -rank <= axis < rank for axis in wanted):
        raise ExecutionError(f"axes {wanted} do not exist in a tensor of rank {rank}")
    return tuple(axis % rank for axis in wanted)


def _sum(x: Array, axes: tuple[int, ...], keep_dims: bool, op: Any) -> Array:
    """The sum; where `op` asks for it, the partial sums are rounded to float16 at every step."""
    if op is None or op.accumulation != "float16" or op.output_types[0].dtype != "float16":
        # int64 is NumPy's own choice for int32; it would hide the wrap-around.
        total: Array = x.sum(axis=axes, keepdims=bool(keep_dims), dtype=x.dtype)
        return total
    last = np.moveaxis(x, axes, range(-len(axes), 0)) if axes else x[..., None]
    flat = last.reshape(*last.shape[: x.ndim - len(axes)], -1)
    total = np.zeros(flat.shape[:-1], dtype=np.float32)
    for step in range(flat.shape[-1]):
        total = (total + flat[..., step]).astype(np.float16).astype(np.float32)
    return np.expand_dims(total, axes) if keep_dims else total


def reduce_sum(x: Array, axes: Array | None = None, keep_dims: bool = False, *, op: Any = None) -> Array:
    """The sum over `axes` (default all)."""
    return _sum(x, _axes(axes, x.ndim), keep_dims, op)


def reduce_mean(x: Array, axes: Array | None = None, keep_dims: bool = False, *, op: Any = None) -> Array:
    """The mean over `axes` (default all); of integers truncated toward zero by the declared output."""
    places = _axes(axes, x.ndim)
    count = int(np.prod([x.shape[axis] for axis in places]))
    if x.dtype.kind in "iu":
        mean: Array = x.mean(axis=places, keepdims=bool(keep_dims))
        return mean
    return _sum(x, places, keep_dims, op) / np.float32(count)


def reduce_l1_norm(x: Array, axes: Array | None = None, keep_dims: bool = False, *, op: Any = None) -> Array:
    """The sum of absolute values over `axes` (default all)."""
    return _sum(np.abs(x), _axes(axes, x.ndim), keep_dims, op)


def reduce_l2_norm(x: Array, axes: Array | None = None, keep_dims: bool = False, *, op: Any = None) -> Array:
    """The square root of the sum of squares over `axes` (default all)."""
    root: Array = np.sqrt(_sum(np.square(x), _axes(axes, x.ndim), keep_dims, op))
    return root


def reduce_sum_square(
    x: Array, axes: Array | None = None, keep_dims: bool = False, *, op: Any = None
) -> Array:
    """The sum of squares over `axes` (default all)."""
    return _sum(np.square(x), _axes(axes, x.ndim), keep_dims, op)


def reduce_log_sum(x: Array, axes: Array | None = None, keep_dims: bool = False, *, op: Any = None) -> Array:
    """The natural logarithm of the sum over `axes` (default all)."""
    logarithm: Array = np.log(_sum(x, _axes(axes, x.ndim), keep_dims, op))
    return logarithm


def reduce_log_sum_exp(
    x: Array, axes: Array | None = None, keep_dims: bool = False, *, op: Any = None
) -> Array:
    """`log(sum(exp(x)))` over `axes` (default all), about the maximum, so that no term overflows."""
    places = _axes(axes, x.ndim)
    peak = x.max(axis=places, keepdims=True)
    peak = np.where(np.isfinite(peak), peak, 0).astype(x.dtype)
    total = np.log(_sum(np.exp(x - peak), places, True, op)) + peak
    result: Array = total if keep_dims else total.squeeze(places)
    return result


def reduce_prod(x: Array, axes: Array | None = None, keep_dims: bool = False) -> Array:
    """The product over `axes` (default all)."""
    result: Array = x.prod(axis=_axes(axes, x.ndim), keepdims=bool(keep_dims), dtype=x.dtype)
    return result


def reduce_max(x: Array, axes: Array | None = None, keep_dims: bool = False) -> Array:
    """The maximum over `axes` (default all); NaN where there is one."""
    result: Array = x.max(axis=_axes(axes, x.ndim), keepdims=bool(keep_dims))
    return result


def reduce_min(x: Array, axes: Array | None = None, keep_dims: bool = False) -> Array:
    """The minimum over `axes` (default all); NaN where there is one."""
    result: Array = x.min(axis=_axes(axes, x.ndim), keepdims=bool(keep_dims))
    return result


def _place(x: Array, axis: Any, keep_dims: bool, output_dtype: str, find: Callable[..., Array]) -> Array:
    (place,) = _axes(axis, x.ndim)
    found: Array = np.asarray(find(x, axis=place, keepdims=bool(keep_dims)))
    if str(output_dtype) not in ("int32", "uint16"):
        raise ExecutionError(f"output_dtype {str(output_dtype)!r} is not known; expected int32 or uint16")
    return found.astype(str(output_dtype))


def reduce_argmax(x: Array, axis: Any = -1, keep_dims: bool = False, output_dtype: str = "int32") -> Array:
    """The place of the first maximum along `axis`; in uint16 places from 65,536 on wrap."""
    return _place(x, axis, keep_dims, output_dtype, np.argmax)


def reduce_argmin(x: Array, axis: Any = -1, keep_dims: bool = False, output_dtype: str = "int32") -> Array:
    """The place of the first minimum along `axis`; in uint16 places from 65,536 on wrap."""
    return _place(x, axis, keep_dims, output_dtype, np.argmin)


KERNELS: dict[str, Callable[..., Any]] = {
    "reduce_argmax": reduce_argmax,
    "reduce_argmin": reduce_argmin,
    "reduce_l1_norm": reduce_l1_norm,
    "reduce_l2_norm": reduce_l2_norm,
    "reduce_log_sum": reduce_log_sum,
    "reduce_log_sum_exp": reduce_log_sum_exp,
    "reduce_max": reduce_max,
    "reduce_mean": reduce_mean,
    "reduce_min": reduce_min,
    "reduce_prod": reduce_prod,
    "reduce_sum": reduce_sum,
    "reduce_sum_square": reduce_sum_square,
}
