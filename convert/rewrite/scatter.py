"""Scatters, and writes along an axis that is not the first, in the few forms that every target has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pocketrec.convert.rewrite.ops import OpRule

aten = torch.ops.aten

# What changes nothing: the smallest and largest float32, as masks must stay finite in float16 too.
_LARGEST = torch.finfo(torch.float32).max


def scatter_reduce(
    input: Tensor,  # noqa: A002 - its name in PyTorch
    dim: int,
    index: Tensor,
    src: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> Any:
    """What Tensor.scatter_reduce gives: sums by scatter_add, the others over their neutral element."""
    if index.ndim != input.ndim or index.ndim == 0:
        return NotImplemented
    cut = _cut(src, index)
    if reduce == "mean" and not input.is_floating_point():
        return NotImplemented
    if not include_self:
        start = input.scatter(dim, index, _neutral(reduce, input))
    elif reduce in ("sum", "mean") or cut is not src:
        start = input
    else:
        return NotImplemented
    if reduce == "sum":
        return start.scatter_add(dim, index, cut)
    if reduce == "mean":
        ones = torch.full_like(cut, 1.0)
        counts = torch.full_like(input, 1.0 if include_self else 0.0).scatter_add(dim, index, ones)
        return start.scatter_add(dim, index, cut) / counts.clamp(min=1.0)
    return start.scatter_reduce(dim, index, cut, reduce, include_self=True)


def _cut(src: Tensor, index: Tensor) -> Tensor:
    """`src` without what the index does not reach."""
    for axis, size in enumerate(index.shape):
        if src.shape[axis] != size:
            src = src.narrow(axis, 0, size)
    return src


def _neutral(reduce: str, like: Tensor) -> float:
    number = float if like.is_floating_point() else int
    largest = _LARGEST if number is float else torch.iinfo(torch.int32).max
    return number({"sum": 0, "mean": 0, "prod": 1, "amax": -largest, "amin": largest}[reduce])


def scatter_value(input: Tensor, dim: int, index: Tensor, value: float) -> Any:  # noqa: A002
    """What Tensor.scatter gives for a number, as a scatter of a tensor."""
    return input.scatter(dim, index, torch.full_like(index, value, dtype=input.dtype))


def scatter_src(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Any:  # noqa: A002
    """What Tensor.scatter gives for truth values, as a scatter of integers."""
    if input.dtype != torch.bool:
        return NotImplemented
    return input.to(torch.int32).scatter(dim, index, src.to(torch.int32)) != 0


def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Any:  # noqa: A002
    """What torch.gather gives for truth values, as a gather of integers."""
    return input.to(torch.int32).gather(dim, index) != 0 if input.dtype == torch.bool else NotImplemented


def copy(input: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:  # noqa: A002
    """What Tensor.copy gives: the source in the input's dtype and shape."""
    return src.to(input.dtype).expand(input.shape)


def index_reduce(
    input: Tensor,  # noqa: A002 - its name in PyTorch
    dim: int,
    index: Tensor,
    source: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> Tensor:
    """What Tensor.index_reduce gives, as a scatter_reduce with the index repeated along the other axes."""
    shape = [1] * source.ndim
    shape[dim] = -1
    wide = index.reshape(shape).expand(source.shape)
    return input.scatter_reduce(dim, wide, source, reduce, include_self=include_self)


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:  # noqa: A002
    """What Tensor.index_add gives, as writes along the first axis."""
    values = (source * alpha if alpha != 1 else source).movedim(dim, 0)
    return input.movedim(dim, 0).index_put((index,), values, accumulate=True).movedim(0, dim)


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:  # noqa: A002
    """What Tensor.index_copy gives, as writes along the first axis."""
    return input.movedim(dim, 0).index_put((index,), source.movedim(dim, 0)).movedim(0, dim)


def index_fill(input: Tensor, dim: int, index: Tensor, value: float) -> Tensor:  # noqa: A002
    """What Tensor.index_fill gives: where the axis' position is in the index."""
    size = input.shape[dim]
    hit = (torch.arange(size).unsqueeze(1) == (index.reshape(-1) % size)).any(1)
    shape = [1] * input.ndim
    shape[dim] = -1
    return torch.where(hit.reshape(shape), torch.full_like(input, value), input)


def index_put(
    input: Tensor,  # noqa: A002 - its name in PyTorch
    indices: Sequence[Tensor | None],
    values: Tensor,
    accumulate: bool = False,
) -> Any:
    """What Tensor.index_put gives for `x[:, i] = v`, as writes along the first axes with whole indices."""
    places = [axis for axis, each in enumerate(indices) if each is not None]
    chosen: list[Any] = [each for each in indices if each is not None]
    if places == [0] and chosen[0].dtype == torch.bool and values.ndim == 0 and not accumulate:
        return _put_by_mask(input, chosen[0], values)
    if not places or any(each.dtype == torch.bool for each in chosen):
        return NotImplemented
    broadcast: Any = torch.broadcast_shapes
    shape = broadcast(*(each.shape for each in chosen))
    adjacent = places == list(range(places[0], places[0] + len(places)))
    if adjacent and places[0] == 0 and all(each.shape == shape for each in chosen):
        return NotImplemented
    before = places[0] if adjacent else 0  # indices with a slice between them put their axes first
    rest = [size for axis, size in enumerate(input.shape) if axis not in places]
    wide = values.expand(*rest[:before], *shape, *rest[before:])
    moved = wide.movedim(list(range(before, before + len(shape))), list(range(len(shape))))
    front = list(range(len(places)))
    chosen = [each.expand(shape) for each in chosen]
    written = input.movedim(places, front).index_put(chosen, moved, accumulate)
    return written.movedim(front, places)


def _put_by_mask(input: Tensor, mask: Tensor, value: Tensor) -> Tensor:  # noqa: A002
    """One value wherever the mask of the first axes is true."""
    wide = mask.reshape([*mask.shape] + [1] * (input.ndim - mask.ndim))
    return torch.where(wide, value.to(input.dtype), input)


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:  # noqa: A002
    """What torch.diagonal gives, read from the two axes as one."""
    square = input.movedim((dim1, dim2), (-2, -1))
    rows, columns = square.shape[-2:]
    if not (isinstance(rows, int) and isinstance(columns, int)):
        return NotImplemented
    first = max(0, -offset) * columns + max(0, offset)
    count = max(0, min(rows - max(0, -offset), columns - max(0, offset)))
    places = first + torch.arange(count) * (columns + 1)
    return square.flatten(-2).index_select(-1, places)


_SLICES = "Core ML writes through an index only along the first axis"

_TRUTHS = "Core ML gathers and scatters numbers only"

RULES = (
    OpRule(
        name="scatter_of_a_number_to_scatter",
        op=aten.scatter.value,
        replace=scatter_value,
        reason="coremltools cannot fill a tensor whose size is not known",
    ),
    OpRule(name="scatter_of_truths_to_integers", op=aten.scatter.src, replace=scatter_src, reason=_TRUTHS),
    OpRule(name="gather_of_truths_to_integers", op=aten.gather.default, replace=gather, reason=_TRUTHS),
    OpRule(
        name="copy_to_expand",
        op=aten.copy.default,
        replace=copy,
        reason="torch.onnx leaves a number without the shape that it is copied to",
    ),
    OpRule(
        name="scatter_reduce_to_scatter",
        op=aten.scatter_reduce.two,
        replace=scatter_reduce,
        reason="Core ML has no mean, and no scatter that leaves the first value out",
    ),
    OpRule(
        name="index_reduce_to_scatter_reduce",
        op=aten.index_reduce.default,
        replace=index_reduce,
        reason="no target has index_reduce",
    ),
    OpRule(name="index_add_to_first_axis", op=aten.index_add.default, replace=index_add, reason=_SLICES),
    OpRule(name="index_copy_to_first_axis", op=aten.index_copy.default, replace=index_copy, reason=_SLICES),
    OpRule(name="index_fill_to_where", op=aten.index_fill.int_Scalar, replace=index_fill, reason=_SLICES),
    OpRule(
        name="diagonal_to_index_select",
        op=aten.diagonal.default,
        replace=diagonal,
        reason="coremltools has only the diagonal of the first two axes",
    ),
    OpRule(name="index_put_to_first_axis", op=aten.index_put.default, replace=index_put, reason=_SLICES),
)
