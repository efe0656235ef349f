"""Kernels that read and write at indices: gather and scatter, by axis, along an axis, and by tuples.

An index outside the table is undefined on a device where `validate_indices` is false; here it is
always an error. Negative indices count from the end, as iOS15 and iOS16 document. From iOS17 on
they are "considered out-of-bound", so converters add the size before they gather; an index below
-size then arrives as a small negative one and must not read a row. Programs from iOS17 on are known
by `validate_indices`, which older ones do not have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.constants import LongConstant

Array = npt.NDArray[Any]


def _axis(axis: Any, rank: int) -> int:
    place = int(axis)
    if not -rank <= place < rank:
        raise ExecutionError(f"axis {place} does not exist in a tensor of rank {rank}")
    return place % rank


def _places(indices: Any, size: int, axis: int, validate: bool | None) -> Array:
    """`indices` as places 0 .. size - 1 of an axis; raises where one is outside."""
    places: Array = np.asarray(indices).astype(np.intp)
    if places.size == 0:
        return places
    low, high = int(places.min()), int(places.max())
    if high >= size or low < (-size if validate is None else 0):
        worst = high if high >= size else low
        raise ExecutionError(f"index {worst} is outside axis {axis} of size {size}")
    return np.where(places < 0, places + size, places) if low < 0 else places


def _grid(shape: tuple[int, ...], count: int) -> tuple[Array, ...]:
    """The coordinates of the first `count` axes, each broadcasting against an array of `shape`."""
    return tuple(
        np.arange(size).reshape([-1 if axis == place else 1 for place in range(len(shape))])
        for axis, size in enumerate(shape[:count])
    )


def gather(
    x: Array | LongConstant,
    indices: Array,
    axis: Any = 0,
    batch_dims: Any = 0,
    validate_indices: bool | None = None,
) -> Array:
    """[*D[:axis], *N[batch_dims:], *D[axis+1:]]: the slices of `x` [*D] at `indices` [*N] of `axis`.

    Keeps the dtype of `x`, and touches only the slices that are read, which matters for a
    memory-mapped table, and for one that is dequantized as it is read.
    """
    place, batch = _axis(axis, x.ndim), int(batch_dims)
    places = _places(indices, x.shape[place], place, validate_indices)
    if isinstance(x, LongConstant):
        if batch == 0 and place == x.axis == 0 and places.size:
            return x.read(places.reshape(-1)).reshape(*places.shape, *x.shape[1:])
        x = x.whole()
    table = np.asarray(x)
    if batch == 0:
        if table.flags.c_contiguous:
            return np.asarray(np.take(table, places, axis=place))
        index: Any = (*[slice(None)] * place, places)
        return np.asarray(table[index])
    index = (*_grid(places.shape, batch), places)
    found: Array = np.moveaxis(table, place, batch)[index]
    between = place - batch
    return np.moveaxis(found, range(places.ndim, places.ndim + between), range(batch, place))


def gather_along_axis(x: Array, indices: Array, axis: Any = 0, validate_indices: bool | None = None) -> Array:
    """In the shape of `indices`, the values of `x` at `indices` of `axis` and at their own other places."""
    place = _axis(axis, x.ndim)
    places = _places(indices, x.shape[place], place, validate_indices)
    return np.take_along_axis(x, places, axis=place)


def _tuples(indices: Array, shape: tuple[int, ...], batch: int, validate: bool | None) -> tuple[Array, ...]:
    """The last axis of `indices` as one array of places per indexed axis of a tensor of `shape`."""
    depth = indices.shape[-1]
    if batch + depth > len(shape):
        raise ExecutionError(f"indices {list(indices.shape)} index more axes than {list(shape)} has")
    columns = tuple(
        _places(indices[..., each], shape[batch + each], batch + each, validate) for each in range(depth)
    )
    return (*_grid(indices.shape[:-1], batch), *columns)


def gather_nd(x: Array, indices: Array, batch_dims: Any = 0, validate_indices: bool | None = None) -> Array:
    """[*K[:-1], *D[batch_dims+K[-1]:]]: the slices of `x` [*D] that the last axis of `indices` [*K] names."""
    return np.asarray(x[_tuples(indices, x.shape, int(batch_dims), validate_indices)])


_MODES: dict[str, Any] = {
    "add": np.add,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
    "mul": np.multiply,
    "sub": np.subtract,
    "update": None,
}


def _write(data: Array, index: Any, updates: Array, mode: str) -> Array:
    """A copy of `data` with `updates` worked in one after the other, so that the last update stays."""
    if str(mode) not in _MODES:
        raise ExecutionError(f"mode {str(mode)!r} is not known; expected one of {', '.join(_MODES)}")
    combine = _MODES[str(mode)]
    integer = combine is np.divide and data.dtype.kind in "iu"
    out: Array = data.astype(np.float64 if integer else data.dtype)
    target = out[index].shape
    if updates.size and target != updates.shape:
        raise ExecutionError(f"updates {list(updates.shape)} do not fill {list(target)}")
    if combine is None:
        out[index] = updates
    else:
        combine.at(out, index, updates)
    return out.astype(data.dtype) if integer else out


def scatter(
    data: Array,
    indices: Array,
    updates: Array,
    axis: Any = 0,
    mode: str = "add",
    validate_indices: bool | None = None,
) -> Array:
    """A copy of `data` with `updates` combined by `mode` into the slices at `indices` of `axis`."""
    place = _axis(axis, data.ndim)
    places = _places(indices, data.shape[place], place, validate_indices)
    return _write(data, (*[slice(None)] * place, places), updates, mode)


def scatter_along_axis(
    data: Array,
    indices: Array,
    updates: Array,
    axis: Any = 0,
    mode: str = "add",
    validate_indices: bool | None = None,
) -> Array:
    """A copy of `data` with each of `updates` combined by `mode` at its index of `axis`.

    coremltools' value inference takes every mode for `update`; the documented modes are computed here.
    """
    place = _axis(axis, data.ndim)
    places = _places(indices, data.shape[place], place, validate_indices)
    index = list(_grid(places.shape, places.ndim))
    index[place] = places
    return _write(data, tuple(index), updates, mode)


def scatter_nd(
    data: Array, indices: Array, updates: Array, mode: str = "add", validate_indices: bool | None = None
) -> Array:
    """A copy of `data` with `updates` combined by `mode` into the slices named by `indices`' last axis."""
    return _write(data, _tuples(indices, data.shape, 0, validate_indices), updates, mode)


KERNELS: dict[str, Callable[..., Any]] = {
    "gather": gather,
    "gather_along_axis": gather_along_axis,
    "gather_nd": gather_nd,
    "scatter": scatter,
    "scatter_along_axis": scatter_along_axis,
    "scatter_nd": scatter_nd,
}
