"""`one_hot` that refuses a class outside of its range, as PyTorch does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class OneHotRule:
    """`one_hot` with a stated number of classes; exact.

    Captured, it becomes a comparison with every class, and a class that is none of them a row of zeros.
    Here the classes are read from a table of themselves, as ids of an embedding are, which every artifact
    refuses outside of the table.
    """

    name = "one_hot_to_lookup"
    reason = "a class outside of the range became a row of zeros"
    functions = frozenset({"one_hot"})

    def replace(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The rows, int64; NotImplemented where the number of classes is to be found in the values."""
        given = dict(zip(("input", "num_classes"), args, strict=False)) | dict(kwargs)
        values, count = given.get("input", given.get("tensor")), given.get("num_classes", -1)
        if not isinstance(values, Tensor) or not isinstance(count, int) or count < 1:
            return NotImplemented
        classes = torch.arange(count, device=values.device)
        places = torch.where(values < 0, count, values)  # a target's lookup may count them from the end
        known = classes.index_select(0, places.reshape(-1)).reshape(values.shape)
        return (known.unsqueeze(-1) == classes).to(torch.int64)
