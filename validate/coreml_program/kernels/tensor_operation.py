"""Kernels that make, join, divide, repeat and mask tensors."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, prod
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.kernels import ordering, suppression

Array = npt.NDArray[Any]


def _sizes(values: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in np.asarray(values).reshape(-1))


def band_part(x: Array, lower: Any = -1, upper: Any = -1) -> Array:
    """`x` with zeros outside a band of the innermost matrix; a negative width keeps that triangle whole."""
    below = np.arange(x.shape[-2])[:, None] - np.arange(x.shape[-1])
    band: Array = np.ones_like(below, dtype=bool)
    if int(lower) >= 0:
        band &= below <= int(lower)
    if int(upper) >= 0:
        band &= -below <= int(upper)
    return np.where(band, x, np.zeros((), dtype=x.dtype))


def concat(values: list[Array], axis: Any, interleave: bool = False) -> Array:
    """`values` one after the other along `axis`, or in turns of one slice each if `interleave`."""
    if np.ndim(values[0]) == 0:
        return np.stack(values)
    if not interleave:
        return np.concatenate(values, axis=int(axis))
    place = int(axis) % values[0].ndim
    shape = list(values[0].shape)
    shape[place] *= len(values)
    return np.stack(values, axis=place + 1).reshape(shape)


def cumsum(x: Array, axis: Any = 0, exclusive: bool = False, reverse: bool = False) -> Array:
    """The running sum along `axis`, from the end if `reverse`; without the element itself if `exclusive`.

    coremltools' value inference raises for `exclusive`; the documented meaning is computed here.
    """
    place = int(axis)
    given = np.flip(x, place) if reverse else x
    total: Array = np.cumsum(given, axis=place, dtype=x.dtype)
    if exclusive:
        total = np.roll(total, 1, axis=place)
        np.moveaxis(total, place, 0)[:1] = 0
    return np.flip(total, place) if reverse else total


def fill(shape: Array, value: Any = 0.0) -> Array:
    """A tensor of `shape` filled with `value`."""
    return np.full(_sizes(shape), value)


def fill_like(ref_tensor: Array, value: Any = 0.0) -> Array:
    """A tensor of the shape of `ref_tensor` filled with `value`, whose dtype it takes."""
    return np.full(np.shape(ref_tensor), value)


def flatten2d(x: Array, axis: Any = 1) -> Array:
    """`x` as a matrix: the axes before `axis` make the rows, the others the columns."""
    place = int(axis) + x.ndim if int(axis) < 0 else int(axis)
    return x.reshape(prod(x.shape[:place]), prod(x.shape[place:]))


def identity(x: Any) -> Any:
    """`x` itself."""
    return x


def non_zero(x: Array) -> Array:
    """[n, rank]: the indices (int32) of the elements that are not 0, in row-major order."""
    return np.argwhere(x).astype(np.int32)


def one_hot(
    indices: Array, one_hot_vector_size: Any, axis: Any = -1, on_value: Any = 1, off_value: Any = 0
) -> Array:
    """`on_value` at each of `indices` of a new axis, else `off_value`; an index outside sets nothing."""
    hot = np.asarray(indices)[..., None] == np.arange(int(one_hot_vector_size))
    return np.moveaxis(np.where(hot, on_value, off_value), -1, int(axis))


_PAD_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}


def pad(x: Array, pad: Array, mode: str = "constant", constant_val: Any = 0.0) -> Array:
    """`x` with `pad` = (before, after) elements added to each of its last axes."""
    amounts = _sizes(pad)
    pairs = [(0, 0)] * (x.ndim - len(amounts) // 2) + list(zip(amounts[::2], amounts[1::2], strict=True))
    if str(mode) not in _PAD_MODES:
        raise ExecutionError(f"mode {str(mode)!r} is not known; expected one of {', '.join(_PAD_MODES)}")
    if len(pairs) != x.ndim or min(amounts, default=0) < 0:
        raise ExecutionError(f"pad {list(amounts)} does not fit a tensor of shape {list(x.shape)}")
    if mode == "constant":
        return np.pad(x, pairs, constant_values=constant_val)
    for axis, (size, pair) in enumerate(zip(x.shape, pairs, strict=True)):
        if max(pair) > (size - 1 if mode == "reflect" else size):
            raise ExecutionError(f"pad {list(pair)} in mode {mode} exceeds axis {axis} of size {size}")
    return np.pad(x, pairs, mode=_PAD_MODES[str(mode)])  # type: ignore[call-overload, no-any-return]


def range_1d(start: Any, end: Any, step: Any) -> Array:
    """The numbers `start`, `start + step`, … before `end`."""
    if step == 0:
        raise ExecutionError(f"step is 0 between {start} and {end}; expected a number that leads there")
    first, last, width = (np.asarray(each).reshape(()).item() for each in (start, end, step))
    count = max(0, ceil((last - first) / width))
    return np.asarray(first + np.arange(count) * width, dtype=np.asarray(start).dtype)


def shape(x: Array) -> Array:
    """The sizes of the axes of `x`, in int32."""
    return np.array(np.shape(x), dtype=np.int32)


def split(x: Array, axis: Any, num_splits: Any = None, split_sizes: Array | None = None) -> tuple[Array, ...]:
    """The parts of `x` along `axis`: of `split_sizes`, or `num_splits` equal ones."""
    extent = x.shape[int(axis)]
    if split_sizes is not None:
        sizes = _sizes(split_sizes)
    elif num_splits is None or extent % int(num_splits):
        raise ExecutionError(f"axis {int(axis)} of size {extent} does not divide into {num_splits} parts")
    else:
        sizes = (extent // int(num_splits),) * int(num_splits)
    if sum(sizes) != extent:
        raise ExecutionError(f"split_sizes {list(sizes)} do not add up to axis {int(axis)} of size {extent}")
    return tuple(np.split(x, np.cumsum(sizes)[:-1], axis=int(axis)))


def stack(values: list[Array], axis: Any) -> Array:
    """`values` side by side along a new axis."""
    return np.stack(values, axis=int(axis))


def tile(x: Array, reps: Array) -> Array:
    """`x` repeated `reps` times along each of its axes."""
    return np.tile(x, _sizes(reps))


KERNELS: dict[str, Callable[..., Any]] = {
    "band_part": band_part,
    "concat": concat,
    "cumsum": cumsum,
    "fill": fill,
    "fill_like": fill_like,
    "flatten2d": flatten2d,
    "identity": identity,
    "non_zero": non_zero,
    "one_hot": one_hot,
    "pad": pad,
    "range_1d": range_1d,
    "shape": shape,
    "split": split,
    "stack": stack,
    "tile": tile,
    **ordering.KERNELS,
    **suppression.KERNELS,
}
