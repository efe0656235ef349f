"""embedding_bag in all its forms, as a gather and a reduction over the ids of a bag.

coremltools has no lowering for embedding_bag; ONNX gets a Loop over a SequenceEmpty, which is
correct and slow. nn.EmbeddingBag calls the same function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pocketrec.convert.watch.lines import user_line
from pocketrec.errors import Refused

_MODES = ("sum", "mean", "max")


class EmbeddingBagRule:
    """Matches every call of embedding_bag; exact up to the order of float32 additions."""

    name = "embedding_bag_to_gather_reduce"
    reason = "embedding_bag has no Core ML lowering, and becomes a Loop in ONNX"
    functions = frozenset(["embedding_bag"])

    def replace(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The bags, `[bags, dim]`; NotImplemented for the variants that also return their bookkeeping.

        Raises:
            Refused: max_norm is set.
        """
        if function is not torch.nn.functional.embedding_bag:
            return NotImplemented
        return _bags(*args, **kwargs)


class EmbeddingRenormRule:
    """Refuses tables that are renormalized while they are read; matches nothing else."""

    name = "embedding_max_norm"
    reason = "a table that changes while it is read cannot be a constant"
    functions = frozenset(["embedding"])

    def replace(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """NotImplemented: a plain lookup is left alone.

        Raises:
            Refused: max_norm is set.
        """
        if function is torch.nn.functional.embedding:
            _check_norm("aten.embedding", kwargs.get("max_norm", args[3] if len(args) > 3 else None))
        return NotImplemented


def _check_norm(op: str, max_norm: float | None) -> None:
    if max_norm is not None:
        raise Refused(
            op=op,
            where=user_line(),
            reason="max_norm changes the table while it is read",
            remedy="renormalize the weights once after training and set max_norm=None",
        )


def _bags(
    input: Tensor,  # noqa: A002 - its name in PyTorch
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:
    _check_norm("aten.embedding_bag", max_norm)
    if weight.dtype == torch.long and input.is_floating_point():
        input, weight = weight, input  # noqa: A001 - PyTorch still takes the old order
    if mode not in _MODES or (mode != "sum" and per_sample_weights is not None):
        return NotImplemented  # PyTorch says what is wrong
    rows = torch.nn.functional.embedding(input, weight)
    if padding_idx is not None:
        counted = input != padding_idx % weight.shape[0]
    else:
        counted = torch.ones_like(input, dtype=torch.bool)
    if input.ndim == 2:
        return _reduce(rows, counted, mode, per_sample_weights)
    if offsets is None:
        return NotImplemented
    inside = _members(offsets, input.shape[0], include_last_offset) & counted
    if mode == "max":
        return _reduce(rows.expand(inside.shape[0], -1, -1), inside, mode, None)
    mask = inside.to(rows.dtype)
    total = (mask if per_sample_weights is None else mask * per_sample_weights) @ rows
    return total / mask.sum(dim=1, keepdim=True).clamp(min=1.0) if mode == "mean" else total


def _members(offsets: Tensor, length: int, include_last_offset: bool) -> Tensor:
    """`[bags, length]`: which positions are between a bag's offset and the next."""
    position = torch.arange(length, device=offsets.device)
    started = position >= offsets.unsqueeze(1)
    if include_last_offset:
        return started[:-1] & ~started[1:]
    return started & ~torch.cat([started[1:], torch.zeros_like(started[:1])])


def _reduce(rows: Tensor, counted: Tensor, mode: str, weights: Tensor | None) -> Tensor:
    """`rows` `[bags, length, dim]` reduced over the length where `counted`; empty bags give zeros."""
    chosen = counted.unsqueeze(-1)
    mask = chosen.to(rows.dtype)
    if mode == "max":
        # A row that does not count becomes the smallest of all, which changes no maximum.
        smallest = rows.amin(dim=1, keepdim=True)
        return torch.where(chosen, rows, smallest).amax(dim=1) * mask.amax(dim=1)
    total = (rows * mask if weights is None else rows * mask * weights.unsqueeze(-1)).sum(dim=1)
    return total / mask.sum(dim=1).clamp(min=1.0) if mode == "mean" else total
