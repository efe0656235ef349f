"""Rows chosen by a mask, computed on and written back, as all rows and a choice at the end.

`out[mask] = f(x[mask])` leaves out rows that do not count, such as empty histories, so its shapes
depend on values. Exact where `f` treats every row by itself: the proof on probes shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class RowMaskRule:
    """Indexing by one mask along the first axis: reading keeps all rows, writing chooses."""

    name = "row_mask_to_where"
    reason = "the number of rows that a mask chooses depends on values"
    functions = frozenset({"__getitem__", "__setitem__"})

    def replace(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """All rows; or None, with the chosen rows of the target written."""
        target, mask = args[0], args[1]
        if not (isinstance(mask, Tensor) and mask.dtype == torch.bool and mask.ndim == 1 and target.ndim):
            return NotImplemented
        if function.__name__ == "__getitem__":
            return target.clone()
        chosen = mask.reshape([-1] + [1] * (target.ndim - 1))
        target.copy_(torch.where(chosen, torch.as_tensor(args[2], dtype=target.dtype), target))
        return None
