"""Kernels for pooling in one to three dimensions: avg_pool, l2_pool, max_pool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.kernels import window

Array = npt.NDArray[Any]
_Geometry = list[tuple[int, int, int, int, int]]


def _geometry(
    x: Array, kernel_sizes: Array, strides: Array | None, pad_type: str, pad: Array | None, ceil_mode: Any
) -> _Geometry:
    """(kernel, stride, pad before, pad after, output size) of each spatial axis.

    With `ceil_mode` a last window may reach beyond the padding, but must begin before it.
    """
    extents = x.shape[2:]
    kernel = window.sizes(kernel_sizes, len(extents), 1)
    steps = window.sizes(strides, len(extents), 1)
    pads = window.padding(str(pad_type).lower(), pad, extents=extents, kernel=kernel, strides=steps)
    axes: _Geometry = []
    for extent, width, stride, (front, back) in zip(extents, kernel, steps, pads, strict=True):
        spare = extent + front + back - width
        out = (spare + (stride - 1 if ceil_mode else 0)) // stride + 1
        if ceil_mode and front + back > 0 and (out - 1) * stride >= extent + front:
            out -= 1
        if out < 1:
            raise ExecutionError(f"kernel {kernel} does not fit padded input {list(x.shape)}")
        axes.append((width, stride, front, back, out))
    return axes


def _reduce(x: Array, axes: _Geometry, combine: np.ufunc, fill: float) -> Array:
    """Windows of `x` combined axis by axis: a rectangular window is separable."""
    for place, (width, stride, front, _, out) in enumerate(axes, start=2):
        last = (out - 1) * stride + width
        pads = [(0, 0)] * x.ndim
        pads[place] = (front, max(0, last - front - x.shape[place]))
        padded = np.pad(x, pads, constant_values=fill) if any(pads[place]) else x
        moved = np.moveaxis(padded, place, -1)
        parts = [moved[..., start : start + (out - 1) * stride + 1 : stride] for start in range(width)]
        total = parts[0].copy()
        for part in parts[1:]:
            combine(total, part, out=total)
        x = np.moveaxis(total, -1, place)
    return x


def _counts(extents: tuple[int, ...], axes: _Geometry, *, padding_counts: bool) -> Array:
    """How many elements each average is divided by, [1, 1, *out]."""
    total = np.ones((1, 1) + (1,) * len(extents), dtype=np.float32)
    for place, (extent, (width, stride, front, back, out)) in enumerate(zip(extents, axes, strict=True)):
        starts = np.arange(out) * stride
        low, high = (0, extent + front + back) if padding_counts else (front, front + extent)
        length = np.minimum(starts + width, high) - np.maximum(starts, low)
        shape = [1] * total.ndim
        shape[2 + place] = out
        total = total * np.maximum(length, 1).astype(np.float32).reshape(shape)
    return total


def avg_pool(
    x: Array,
    kernel_sizes: Array,
    pad_type: str = "valid",
    strides: Array | None = None,
    pad: Array | None = None,
    exclude_padding_from_average: Any = False,
    ceil_mode: Any = False,
) -> Array:
    """The mean of each window; padded zeros count unless `exclude_padding_from_average`.

    What a `ceil_mode` window covers beyond the padding never counts, as in PyTorch.
    """
    axes = _geometry(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    counts = _counts(x.shape[2:], axes, padding_counts=not exclude_padding_from_average)
    return _reduce(x, axes, np.add, 0.0) / counts


def l2_pool(
    x: Array,
    kernel_sizes: Array,
    pad_type: str = "valid",
    strides: Array | None = None,
    pad: Array | None = None,
    ceil_mode: Any = False,
) -> Array:
    """The square root of the sum of squares of each window."""
    axes = _geometry(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    return np.sqrt(_reduce(np.square(x), axes, np.add, 0.0))


def max_pool(
    x: Array,
    kernel_sizes: Array,
    pad_type: str = "valid",
    strides: Array | None = None,
    pad: Array | None = None,
    ceil_mode: Any = False,
) -> Array:
    """The largest element of each window; padding never wins."""
    axes = _geometry(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    return _reduce(x, axes, np.maximum, -np.inf)


KERNELS: dict[str, Callable[..., Any]] = {
    "avg_pool": avg_pool,
    "l2_pool": l2_pool,
    "max_pool": max_pool,
}
