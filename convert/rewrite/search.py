"""bucketize and searchsorted of any rank, as a count of the boundaries below each value."""

from __future__ import annotations

import torch
from torch import Tensor

from pocketrec.convert.rewrite.ops import OpRule

_REASON = "Core ML has no bucketize, and searchsorted only for boundaries of the values' rank"


def _count(boundaries: Tensor, values: Tensor, *, right: bool, out_int32: bool) -> Tensor:
    """How many boundaries are below each value; with `right`, or equal to it.

    The comparisons are negated, so that NaN comes after every boundary, as in PyTorch.
    """
    edges = boundaries if boundaries.ndim == 1 else boundaries.unsqueeze(-2)
    wide = values.unsqueeze(-1)
    below = ~(edges > wide) if right else ~(edges >= wide)
    counted = below.to(torch.int32).sum(-1, dtype=torch.int32)
    return counted if out_int32 else counted.to(torch.int64)


def bucketize(input: Tensor, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:  # noqa: A002
    """What torch.bucketize gives, `input`'s shape."""
    return _count(boundaries, input, right=right, out_int32=out_int32)


def searchsorted(
    sorted_sequence: Tensor,
    values: Tensor,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """What torch.searchsorted gives, `values`' shape."""
    ordered = sorted_sequence if sorter is None else sorted_sequence.gather(-1, sorter)
    return _count(ordered, values, right=right or side == "right", out_int32=out_int32)


RULES = (
    OpRule(name="bucketize_to_count", op=torch.ops.aten.bucketize.Tensor, replace=bucketize, reason=_REASON),
    OpRule(
        name="searchsorted_to_count",
        op=torch.ops.aten.searchsorted.Tensor,
        replace=searchsorted,
        reason=_REASON,
    ),
)
