"""Slices whose ends are numbers in tensors: `row[:count]`, as long as the values say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class TensorSliceRule:
    """A slice of the first axis from a number to one in a tensor; exact."""

    name = "slice_by_tensor_to_narrow"
    reason = "Python asks a tensor for its number, which is not known when the graph is made"
    functions = frozenset({"__getitem__"})

    def replace(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The slice; NotImplemented where the end is no tensor, or the index is more than one slice."""
        tensor, index = args
        if not isinstance(index, slice) or index.step is not None or not tensor.ndim:
            return NotImplemented
        start, size = 0 if index.start is None else index.start, tensor.shape[0]
        if not isinstance(index.stop, Tensor) or not isinstance(start, int) or start < 0:
            return NotImplemented
        count = (_place(index.stop, size) - start).clamp(min=0)
        return tensor.narrow(0, start, _number(count, size - start))


def _place(place: Tensor, size: Any) -> Tensor:
    """A slice's end as Python means it, counted from the front, within the axis."""
    place = place.reshape(())
    return torch.where(place < 0, place + size, place).clamp(min=0, max=size)


def _number(tensor: Tensor, most: Any) -> Any:
    """The number in a tensor as one of Python's, known to be from 0 to `most`."""
    value = tensor.item()
    check: Any = torch._check
    check(value >= 0)
    check(value <= most)
    return value
