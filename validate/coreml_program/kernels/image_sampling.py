"""Where an output pixel lies in the input, and what is read there: shared by the image resizing ops."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ExecutionError

Array = npt.NDArray[Any]


def grid(mode: str, first: float, last: float, count: int) -> Array:
    """`count` positions over the pixels `first` to `last`, as resize_bilinear's text spells each `mode`.

    Positions are not yet clamped.
    """
    steps: Array = np.arange(count, dtype=np.float64)
    extent = last - first + 1.0
    if mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        if count == 1:
            return np.array([(first + last) / 2 if mode == "ALIGN_CORNERS" else first])
        return np.asarray(first + steps * ((last - first) / (count - 1)))
    if mode == "DEFAULT":
        return np.asarray(first + steps * (extent / count))
    if mode == "OFFSET_CORNERS":
        return np.asarray(first + (steps + 0.5) * (max(1.0, last - first) / count))
    if mode == "UNALIGN_CORNERS":
        return np.asarray(first + (steps + 0.5) * (extent / count) - 0.5)
    raise ExecutionError(f"sampling_mode {mode!r} is not known")


def interpolate(x: Array, positions: Array, axis: int) -> Array:
    """`x` read at `positions` along `axis`, linearly between neighbours, clamped to the border."""
    where = np.clip(positions, 0.0, x.shape[axis] - 1.0)
    low = np.floor(where).astype(np.intp)
    high = np.minimum(low + 1, x.shape[axis] - 1)
    shape = [1] * x.ndim
    shape[axis] = len(where)
    part = (where - low).astype(np.float32).reshape(shape)
    mixed: Array = np.take(x, low, axis=axis) * (1 - part) + np.take(x, high, axis=axis) * part
    return mixed


def nearest(x: Array, positions: Array, axis: int) -> Array:
    """`x` at the whole `positions` along `axis`, clamped to the border."""
    return np.take(x, np.clip(positions, 0, x.shape[axis] - 1).astype(np.intp), axis=axis)


def bilinear_at(image: Array, ys: Array, xs: Array, fill: Any = None) -> Array:
    """[C, *shape] from `image` [C, H, W] read at `ys`, `xs` of one shape.

    Neighbours outside the image count as `fill`; without it they are those on the border.
    """
    y0, x0 = np.floor(ys), np.floor(xs)
    fy, fx = (ys - y0).astype(np.float32), (xs - x0).astype(np.float32)
    top = tap(image, y0, x0, fill) * (1 - fx) + tap(image, y0, x0 + 1, fill) * fx
    bottom = tap(image, y0 + 1, x0, fill) * (1 - fx) + tap(image, y0 + 1, x0 + 1, fill) * fx
    mixed: Array = top * (1 - fy) + bottom * fy
    return mixed


def tap(image: Array, ys: Array, xs: Array, fill: Any = None) -> Array:
    """[C, *shape] from `image` [C, H, W] at whole positions; beyond it `fill`, or the border."""
    height, width = image.shape[1:]
    rows = np.clip(ys, 0, height - 1).astype(np.intp)
    columns = np.clip(xs, 0, width - 1).astype(np.intp)
    read: Array = image[:, rows, columns]
    if fill is None:
        return read
    outside = (ys < 0) | (ys > height - 1) | (xs < 0) | (xs > width - 1)
    return np.where(outside, np.asarray(fill, dtype=image.dtype), read)


def fold(positions: Array, size: int, mode: str) -> Array:
    """`positions` brought into an axis of `size` by the padding mode border, reflection or symmetric."""
    if mode == "reflection" and size > 1:
        period = 2.0 * (size - 1)
        away = np.mod(positions, period)
        positions = np.minimum(away, period - away)
    elif mode == "symmetric":
        away = np.mod(positions + 0.5, 2.0 * size)
        positions = np.minimum(away, 2.0 * size - away) - 0.5
    elif mode not in ("border", "reflection"):
        raise ExecutionError(f"padding_mode {mode!r} is not known")
    return np.clip(positions, 0.0, size - 1.0)
