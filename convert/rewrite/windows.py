"""Views that reach into a tensor in steps of their own, and padding that cuts, as gathers and slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pocketrec.convert.rewrite.ops import OpRule

aten = torch.ops.aten


def unfold(x: Tensor, dimension: int, size: int, step: int) -> Any:
    """What Tensor.unfold gives: windows along an axis, each in a new last axis."""
    length = x.shape[dimension] if x.ndim else None
    if not isinstance(length, int):
        return NotImplemented
    dimension %= x.ndim
    count = (length - size) // step + 1
    places = torch.arange(count).unsqueeze(1) * step + torch.arange(size)
    shape = (*x.shape[:dimension], count, size, *x.shape[dimension + 1 :])
    windows = x.index_select(dimension, places.reshape(-1)).reshape(shape)
    return windows.movedim(dimension + 1, -1)


def as_strided(
    x: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Any:
    """What torch.as_strided gives of a tensor that lies in memory as it reads."""
    known = all(isinstance(each, int) for each in (*x.shape, *size, *stride, storage_offset or 0))
    if not known or not x.is_contiguous() or x.storage_offset() or not size:
        return NotImplemented
    places = torch.full([1] * len(size), storage_offset or 0)
    for axis, (count, distance) in enumerate(zip(size, stride, strict=True)):
        shape = [1] * len(size)
        shape[axis] = -1
        places = places + (torch.arange(count) * distance).reshape(shape)
    return x.reshape(-1).index_select(0, places.reshape(-1)).reshape(list(size))


def pad_and_cut(x: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """What torch.nn.functional.pad gives where it also cuts, by negative widths."""
    known = mode == "constant" and x.dtype != torch.bool and all(isinstance(each, int) for each in pad)
    if not known or all(each >= 0 for each in pad):
        return NotImplemented
    for number, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True)):
        axis = x.ndim - 1 - number
        if before < 0 or after < 0:
            start, end = max(0, -before), x.shape[axis] - max(0, -after)
            x = x.narrow(axis, start, end - start)
    rest = [max(0, each) for each in pad]
    return aten.constant_pad_nd.default(x, rest, value or 0) if any(rest) else x.clone()


def pad_truths(x: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """What torch.nn.functional.pad gives for truth values, as padding of integers."""
    if x.dtype != torch.bool:
        return NotImplemented
    return aten.pad.default(x.to(torch.int32), pad, mode, None if value is None else int(value)) != 0


def pad_circular(x: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """What torch.nn.functional.pad gives where an axis goes on at its other end."""
    if mode != "circular" or any(each < 0 for each in pad):
        return NotImplemented
    for number, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True)):
        axis = x.ndim - 1 - number
        size = x.shape[axis]
        front = [x.narrow(axis, size - before, before)] if before else []
        end = [x.narrow(axis, 0, after)] if after else []
        x = torch.cat([*front, x, *end], axis) if front or end else x
    return x.clone()


def roll(x: Tensor, shifts: Sequence[int], dims: Sequence[int] = ()) -> Any:
    """What torch.roll gives: an axis of known size in two parts, a free one place by place."""
    if not dims:
        return roll(x.reshape(-1), shifts, [0]).reshape(x.shape)
    for shift, axis in zip(shifts, dims, strict=True):
        size = x.shape[axis]
        if not isinstance(size, int):
            places = torch.arange(size)
            x = x.index_select(axis, torch.remainder(places - shift, places[-1:] + 1))
        elif size and shift % size:
            start = -shift % size
            x = torch.cat([x.narrow(axis, start, size - start), x.narrow(axis, 0, start)], axis)
    return x.clone()


def masked_scatter(x: Tensor, mask: Tensor, source: Tensor) -> Any:
    """What Tensor.masked_scatter gives: the n-th place that the mask chooses takes the n-th value."""
    wide = mask.expand_as(x)
    number = wide.reshape(-1).to(torch.int64).cumsum(0) - 1
    taken = source.reshape(-1).index_select(0, number.clamp(min=0))
    return torch.where(wide, taken.reshape(x.shape), x)


RULES = (
    OpRule(
        name="unfold_to_index_select",
        op=aten.unfold.default,
        replace=unfold,
        reason="Core ML has no view of overlapping windows",
    ),
    OpRule(
        name="as_strided_to_index_select",
        op=aten.as_strided.default,
        replace=as_strided,
        reason="no target has views with strides of their own",
    ),
    OpRule(
        name="negative_pad_to_slice",
        op=aten.pad.default,
        replace=pad_and_cut,
        reason="Core ML's pad cannot cut",
    ),
    OpRule(
        name="pad_of_truths_to_integers",
        op=aten.pad.default,
        replace=pad_truths,
        reason="both targets' converters pad numbers only",
    ),
    OpRule(
        name="circular_pad_to_slices",
        op=aten.pad.default,
        replace=pad_circular,
        reason="PyTorch's own version writes into slices",
    ),
    OpRule(
        name="roll_to_slices",
        op=aten.roll.default,
        replace=roll,
        reason="torch.onnx has no remainder by a free size",
    ),
    OpRule(
        name="masked_scatter_to_gather",
        op=aten.masked_scatter.default,
        replace=masked_scatter,
        reason="Core ML has no masked_scatter",
    ),
)
