"""Values of several keys in one row, split by counts that depend on values, as padded parts.

A keyed jagged tensor is split by `torch.split(values, counts.tolist())`, so that the shapes of its
parts depend on values. Exact where what is beyond a part's count is left out by the offsets that
follow, as embedding bags do: the proof on probes shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pocketrec.convert.watch.intercept import Listed


class JaggedSplitRule:
    """A split by counts that a tensor gave: every part has the length of the whole, zeros at its end."""

    name = "jagged_split_to_padded"
    reason = "the shapes of the parts depend on values"
    functions = frozenset({"split", "split_with_sizes"})

    def replace(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The parts, each as long as the whole."""
        sizes = args[1] if len(args) > 1 else None
        axis = kwargs.get("dim", args[2] if len(args) > 2 else 0)
        if not isinstance(sizes, Listed) or sizes.tensor.ndim != 1 or axis % args[0].ndim:
            return NotImplemented
        values, counts = args[0], sizes.tensor
        ends = counts.cumsum(0)
        return tuple(_part(values, ends[key] - counts[key], counts[key]) for key in range(len(sizes)))


def _part(values: Tensor, start: Tensor, count: Tensor) -> Tensor:
    """`count` rows from `start` on, then zeros, as many rows as there are in all."""
    places = torch.arange(values.shape[0])
    inside = (places < count).reshape([-1] + [1] * (values.ndim - 1))
    moved = values.index_select(0, (places + start).clamp(max=values.shape[0] - 1))
    return torch.where(inside, moved, torch.zeros_like(moved))
