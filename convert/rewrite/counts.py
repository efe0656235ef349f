"""Sums of truth values as sums of integers, so that a count stays one that can be an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pocketrec.convert.rewrite.ops import OpRule

aten = torch.ops.aten


def count(x: Tensor, dim: Sequence[int] | None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """`sum` of truth values over some axes, in int64 as PyTorch gives it."""
    if x.dtype != torch.bool or dtype is not None:
        return NotImplemented
    return aten.sum.dim_IntList(x.to(torch.int64), dim, keepdim)


def count_all(x: Tensor, *, dtype: Any = None) -> Any:
    """`sum` of all truth values, in int64."""
    if x.dtype != torch.bool or dtype is not None:
        return NotImplemented
    return aten.sum.default(x.to(torch.int64))


_REASON = "coremltools adds truth values as floats, which cannot be indices"
RULES = (
    OpRule(name="count_to_integer_sum", op=aten.sum.dim_IntList, replace=count, reason=_REASON),
    OpRule(name="count_all_to_integer_sum", op=aten.sum.default, replace=count_all, reason=_REASON),
)
