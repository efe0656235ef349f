"""A place given by a tensor of one number: `x[i]` and `x[i] = v`, without leaving PyTorch for `i`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class ScalarIndexRule:
    """Indexing of the first axis by a whole number in a tensor without axes; exact."""

    name = "scalar_index_to_gather"
    reason = "a number in a tensor is not known when the graph is made"
    functions = frozenset({"__getitem__", "__setitem__"})

    def replace(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The row at that place; or None, with the row written."""
        target, place = args[0], args[1]
        if not (_is_place(place) and target.ndim):
            return NotImplemented
        count = target.shape[0]
        place = torch.where(place < 0, place + count, place)
        if function.__name__ == "__getitem__":
            return target.index_select(0, place.reshape(1)).squeeze(0)
        here = (torch.arange(count) == place).reshape([-1] + [1] * (target.ndim - 1))
        target.copy_(torch.where(here, torch.as_tensor(args[2], dtype=target.dtype), target))
        return None


def _is_place(index: Any) -> bool:
    return (
        isinstance(index, Tensor)
        and index.ndim == 0
        and index.dtype in (torch.int64, torch.int32, torch.int16, torch.int8)
    )
