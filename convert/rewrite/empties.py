"""Tensors without elements, which Core ML does not know: loops whose first step looks back at nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pocketrec.convert.rewrite.ops import OpRule

aten = torch.ops.aten


def sum_of_none(
    input: Tensor,  # noqa: A002 - its name in PyTorch
    dim: Sequence[int] | None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
) -> Any:
    """What Tensor.sum gives along an axis of size 0: zeros."""
    axes = {each % input.ndim for each in dim or range(input.ndim)} if input.ndim else set()
    if not any(_is_empty(input.shape[axis]) for axis in axes):
        return NotImplemented
    kept = [1 if axis in axes else size for axis, size in enumerate(input.shape)]
    shape = kept if keepdim else [size for axis, size in enumerate(input.shape) if axis not in axes]
    given = dtype or (input.dtype if input.is_floating_point() else torch.int64)
    return torch.zeros(shape, dtype=given)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Any:
    """What torch.cat gives without the tensors that add nothing."""
    full = [each for each in tensors if not any(map(_is_empty, each.shape))]
    if len(full) == len(tensors) or not full:
        return NotImplemented
    dtype = tensors[0].dtype
    for each in tensors[1:]:
        dtype = torch.promote_types(dtype, each.dtype)
    kept = [each.to(dtype) for each in full]
    return torch.cat(kept, dim) if len(kept) > 1 else kept[0].clone()


def bmm(x: Tensor, y: Tensor) -> Any:
    """What torch.bmm gives where there is nothing to sum: zeros."""
    if not _is_empty(x.shape[-1]):
        return NotImplemented
    return torch.zeros((x.shape[0], x.shape[1], y.shape[2]), dtype=x.dtype)


def _is_empty(size: Any) -> bool:
    return isinstance(size, int) and size == 0


_REASON = "Core ML has no tensors without elements"

RULES = (
    OpRule(name="sum_of_none_to_zeros", op=aten.sum.dim_IntList, replace=sum_of_none, reason=_REASON),
    OpRule(name="product_of_none_to_zeros", op=aten.bmm.default, replace=bmm, reason=_REASON),
    OpRule(name="cat_without_empty_parts", op=aten.cat.default, replace=cat, reason=_REASON),
)
