"""Counts and reductions by group, whose shapes PyTorch takes from values, at sizes that are known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class SegmentRule:
    """`bincount` with a smallest length, as all of it, and `segment_reduce` of the first axis.

    An id beyond the smallest length, for which `bincount` makes a longer answer, is an error here.
    """

    name = "segments_to_scatter"
    reason = "no exporter has it: shapes would depend on values"
    functions = frozenset({"bincount", "segment_reduce"})

    def replace(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What the function gives; NotImplemented where its size is not known."""
        return _PARTS[function.__name__](*args, **kwargs)


def _bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Any:  # noqa: A002
    if not minlength or input.ndim != 1:
        return NotImplemented
    values = torch.ones_like(input, dtype=torch.int64) if weights is None else weights
    if weights is not None and weights.dtype != torch.float32:
        values = values.to(torch.float64)
    return torch.zeros(minlength, dtype=values.dtype).scatter_add(0, input.to(torch.int64), values)


def _segment_reduce(
    data: Tensor,
    reduce: str,
    *,
    lengths: Tensor | None = None,
    indices: Tensor | None = None,
    offsets: Tensor | None = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: float | None = None,
) -> Any:
    ends = _ends(lengths, offsets)
    if ends is None or axis != 0:
        return NotImplemented
    places = torch.arange(data.shape[0]).unsqueeze(1)
    segment = (places >= ends.unsqueeze(0)).to(torch.int64).sum(1)
    index = segment.reshape([-1] + [1] * (data.ndim - 1)).expand(data.shape)
    how, neutral = _REDUCTIONS[reduce]
    start = torch.full(
        (ends.shape[0], *data.shape[1:]), neutral if initial is None else initial, dtype=data.dtype
    )
    found = start.scatter_reduce(0, index, data, how, include_self=True)
    if reduce != "mean":
        return found
    before = torch.cat([torch.zeros_like(ends[:1]), ends[:-1]])
    counts = (ends - before).reshape([-1] + [1] * (data.ndim - 1)).to(data.dtype)
    # The mean of nothing is not a number, or what is asked for.
    empty = math.nan if initial is None else initial
    return torch.where(counts > 0, found / counts.clamp(min=1), empty)


def _ends(lengths: Tensor | None, offsets: Tensor | None) -> Tensor | None:
    """Where each segment ends, `[segments]`; None where they differ along other axes."""
    if lengths is not None:
        return lengths.cumsum(0) if lengths.ndim == 1 else None
    return offsets[1:] if offsets is not None and offsets.ndim == 1 else None


_REDUCTIONS = {
    "sum": ("sum", 0.0),
    "mean": ("sum", 0.0),
    "max": ("amax", -math.inf),
    "min": ("amin", math.inf),
    "prod": ("prod", 1.0),
}
_PARTS: dict[str, Callable[..., Any]] = {"bincount": _bincount, "segment_reduce": _segment_reduce}
