"""Kernels that move elements without computing: reshape, transpose, slice, reverse, space and depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ExecutionError

Array = npt.NDArray[Any]


def _ints(values: Any) -> list[int]:
    return [int(value) for value in np.asarray(values).reshape(-1).tolist()]


def _axes(axes: Any, rank: int) -> list[int]:
    wanted = [axis + rank if axis < 0 else axis for axis in _ints(axes)]
    for axis in wanted:
        if not 0 <= axis < rank:
            raise ExecutionError(f"axes {_ints(axes)} do not exist in a tensor of rank {rank}")
    return wanted


def reshape(x: Array, shape: Array) -> Array:
    """`x` in `shape`; a 0 takes the size of `x` counted from the right, one -1 takes the rest.

    iOS15 allows a 0 only where the ranks are equal, and there both readings agree.
    """
    sizes = _ints(shape)
    for place, size in enumerate(sizes):
        if size == 0:
            from_right = len(sizes) - place
            sizes[place] = x.shape[x.ndim - from_right] if from_right <= x.ndim else 1
    if -1 in sizes and x.size == 0:
        sizes[sizes.index(-1)] = 0
    try:
        return x.reshape(sizes)
    except ValueError:
        raise ExecutionError(f"{list(x.shape)} does not fit shape {_ints(shape)}") from None


def reshape_like(
    x: Array, ref_tensors: list[Array], begins: list[Any], ends: list[Any], end_masks: list[Any]
) -> Array:
    """`x` in the shape that the chosen axes of `ref_tensors` spell when put one after the other."""
    shape: list[int] = []
    for ref, begin, end, masked in zip(ref_tensors, begins, ends, end_masks, strict=True):
        shape.extend(ref.shape[int(begin) : None if masked else int(end)])
    return reshape(x, np.array(shape, dtype=np.int64))


def expand_dims(x: Array, axes: Array) -> Array:
    """`x` with an axis of size 1 inserted at each of `axes` of the result."""
    x = np.asarray(x)
    return np.expand_dims(x, tuple(_axes(axes, x.ndim + np.size(axes))))


def squeeze(x: Array, axes: Array | None = None) -> Array:
    """`x` without those of `axes` (default all) that have size 1; larger ones stay, as in PyTorch."""
    wanted = range(x.ndim) if axes is None else _axes(axes, x.ndim)
    return x.reshape([size for axis, size in enumerate(x.shape) if not (axis in wanted and size == 1)])


def transpose(x: Array, perm: Array) -> Array:
    """`x` with its axes in the order of `perm`."""
    return x.transpose(_axes(perm, x.ndim))


def reverse(x: Array, axes: Array | None = None) -> Array:
    """`x` read backwards along `axes`, by default along all of them."""
    return np.flip(x, None if axes is None else tuple(_axes(axes, x.ndim)))


def reverse_sequence(x: Array, lengths: Array, seq_axis: Any = 0, batch_axis: Any = 0) -> Array:
    """`x` with the first `lengths[i]` elements along `seq_axis` reversed in batch element i.

    Value inference does not exist for this op; the semantics are those of tf.reverse_sequence.
    """
    batch, time = _axes([batch_axis, seq_axis], x.ndim)
    steps = np.arange(x.shape[time])[None, :]
    limits = np.asarray(lengths).astype(np.int64)[:, None]
    if limits.size and (limits.min() < 0 or limits.max() > x.shape[time]):
        raise ExecutionError(f"lengths {_ints(lengths)} leave 0..{x.shape[time]} of axis {time}")
    source = np.where(steps < limits, limits - 1 - steps, steps)
    rolled = np.moveaxis(x, (batch, time), (0, 1))
    index = source.reshape(source.shape + (1,) * (x.ndim - 2))
    return np.moveaxis(np.take_along_axis(rolled, index, axis=1), (0, 1), (batch, time))


def _slices(
    x: Array,
    begin: Array,
    end: Array,
    stride: Array | None,
    begin_mask: Array | None,
    end_mask: Array | None,
    squeeze_mask: Array | None,
) -> tuple[slice | int, ...]:
    rank = x.ndim
    starts, stops = _ints(begin), _ints(end)
    steps = [1] * rank if stride is None else _ints(stride)
    masks = [
        np.zeros(rank, dtype=bool) if mask is None else np.asarray(mask).astype(bool)
        for mask in (begin_mask, end_mask, squeeze_mask)
    ]
    if not len(starts) == len(stops) == len(steps) == rank:
        raise ExecutionError(f"begin {starts}, end {stops}, stride {steps} do not match rank {rank}")
    index: list[slice | int] = []
    for axis in range(rank):
        start = None if masks[0][axis] else starts[axis]
        if masks[2][axis]:
            index.append(_inside(0 if start is None else start, x.shape[axis], axis))
        else:
            index.append(slice(start, None if masks[1][axis] else stops[axis], steps[axis]))
    return tuple(index)


def _inside(start: int, size: int, axis: int) -> int:
    if not -size <= start < size:
        raise ExecutionError(f"begin {start} is outside axis {axis} of size {size}")
    return start


def slice_by_index(
    x: Array,
    begin: Array,
    end: Array,
    stride: Array | None = None,
    begin_mask: Array | None = None,
    end_mask: Array | None = None,
    squeeze_mask: Array | None = None,
) -> Array:
    """`x[begin:end:stride]` per axis; masked ends are open, squeezed axes are indexed at `begin`."""
    taken: Array = np.asarray(x[_slices(x, begin, end, stride, begin_mask, end_mask, squeeze_mask)])
    return taken


def slice_update(
    x: Array,
    update: Array,
    begin: Array,
    end: Array,
    stride: Array | None = None,
    begin_mask: Array | None = None,
    end_mask: Array | None = None,
    squeeze_mask: Array | None = None,
) -> Array:
    """A copy of `x` in which the slice that slice_by_index would read is replaced by `update`."""
    index = _slices(x, begin, end, stride, begin_mask, end_mask, squeeze_mask)
    out = x.copy()
    target = np.asarray(out[index]).shape
    if int(np.prod(target)) != update.size:
        raise ExecutionError(f"update {list(update.shape)} does not fill a slice {list(target)}")
    out[index] = update.reshape(target)
    return out


def slice_by_size(x: Array, begin: Array, size: Array) -> Array:
    """`size` elements of `x` from `begin` on, per axis; -1 takes all that remain."""
    index = []
    for axis, (start, count, extent) in enumerate(zip(_ints(begin), _ints(size), x.shape, strict=True)):
        first = start + extent if start < 0 else start
        last = extent if count == -1 else first + count
        if not 0 <= first <= last <= extent:
            raise ExecutionError(f"begin {start}, size {count} leave axis {axis} of size {extent}")
        index.append(slice(first, last))
    return x[tuple(index)]


def _split_channels(x: Array, block: int, *, depth_first: bool) -> Array:
    n, c, h, w = x.shape
    if c % (block * block):
        raise ExecutionError(f"{c} channels do not divide by block {block} squared")
    inner = c // (block * block)
    if depth_first:
        parts = x.reshape(n, block, block, inner, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        parts = x.reshape(n, inner, block, block, h, w).transpose(0, 1, 4, 2, 5, 3)
    return parts.reshape(n, inner, h * block, w * block)


def _join_channels(x: Array, block: int, *, depth_first: bool) -> Array:
    n, c, h, w = x.shape
    if h % block or w % block:
        raise ExecutionError(f"spatial size {h}x{w} does not divide by block {block}")
    parts = x.reshape(n, c, h // block, block, w // block, block)
    order = (0, 3, 5, 1, 2, 4) if depth_first else (0, 1, 3, 5, 2, 4)
    return parts.transpose(order).reshape(n, c * block * block, h // block, w // block)


def depth_to_space(x: Array, block_size: Any) -> Array:
    """[n, C/b², H·b, W·b] from [n, C, H, W]; blocks vary slowest in the channel (TensorFlow)."""
    return _split_channels(x, int(block_size), depth_first=True)


def space_to_depth(x: Array, block_size: Any) -> Array:
    """[n, C·b², H/b, W/b] from [n, C, H, W]: the inverse of depth_to_space."""
    return _join_channels(x, int(block_size), depth_first=True)


def pixel_shuffle(x: Array, upscale_factor: Any) -> Array:
    """[n, C, H·f, W·f] from [n, C·f², H, W]; blocks vary fastest in the channel (PyTorch)."""
    return _split_channels(x, int(upscale_factor), depth_first=False)


def pixel_unshuffle(x: Array, downscale_factor: Any) -> Array:
    """[n, C·f², H/f, W/f] from [n, C, H, W]: the inverse of pixel_shuffle."""
    return _join_channels(x, int(downscale_factor), depth_first=False)


def space_to_batch(x: Array, block_shape: Array, paddings: Array) -> Array:
    """[n·b0·b1, C, H/b0, W/b1] from the zero-padded [n, C, H, W]; blocks vary slowest in the batch."""
    b0, b1 = _ints(block_shape)
    pads = [(0, 0), (0, 0), *(tuple(_ints(row)) for row in np.asarray(paddings))]
    padded = np.pad(x, pads)
    n, c, h, w = padded.shape
    if h % b0 or w % b1:
        raise ExecutionError(f"padded spatial size {h}x{w} does not divide by blocks {b0}x{b1}")
    parts = padded.reshape(n, c, h // b0, b0, w // b1, b1).transpose(3, 5, 0, 1, 2, 4)
    return parts.reshape(n * b0 * b1, c, h // b0, w // b1)


def batch_to_space(x: Array, block_shape: Array, crops: Array) -> Array:
    """[n/(b0·b1), C, H·b0, W·b1] less `crops`: the inverse of space_to_batch."""
    b0, b1 = _ints(block_shape)
    n, c, h, w = x.shape
    if n % (b0 * b1):
        raise ExecutionError(f"batch {n} does not divide by blocks {b0}x{b1}")
    parts = x.reshape(b0, b1, n // (b0 * b1), c, h, w).transpose(2, 3, 4, 0, 5, 1)
    whole = parts.reshape(n // (b0 * b1), c, h * b0, w * b1)
    (top, bottom), (left, right) = (_ints(row) for row in np.asarray(crops))
    return whole[:, :, top : h * b0 - bottom, left : w * b1 - right]


def sliding_windows(x: Array, axis: Any, size: Any, stride: Any = 1) -> Array:
    """All windows of `size` along `axis`, `stride` apart; the window is the axis after `axis`."""
    (place,) = _axes([axis], x.ndim)
    if int(size) > x.shape[place]:
        raise ExecutionError(f"window {int(size)} is longer than axis {place} of size {x.shape[place]}")
    windows = np.lib.stride_tricks.sliding_window_view(x, int(size), axis=place)
    index: Sequence[slice] = [slice(None)] * place + [slice(None, None, int(stride))]
    return np.moveaxis(windows[tuple(index)], -1, place + 1)


KERNELS: dict[str, Callable[..., Any]] = {
    "batch_to_space": batch_to_space,
    "depth_to_space": depth_to_space,
    "expand_dims": expand_dims,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "reshape": reshape,
    "reshape_like": reshape_like,
    "reverse": reverse,
    "reverse_sequence": reverse_sequence,
    "slice_by_index": slice_by_index,
    "slice_by_size": slice_by_size,
    "slice_update": slice_update,
    "sliding_windows": sliding_windows,
    "space_to_batch": space_to_batch,
    "space_to_depth": space_to_depth,
    "squeeze": squeeze,
    "transpose": transpose,
}
