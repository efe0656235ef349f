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
    """Choosing by one mask along the first axis or two: reading keeps all rows, writing chooses."""

    name = "row_mask_to_where"
    reason = "the number of rows that a mask chooses depends on values"
    functions = frozenset({"__getitem__", "__setitem__", "masked_select"})

    def replace(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """All rows, or one place per row; or None, with the chosen rows of the target written."""
        if kwargs or len(args) < 2 or not isinstance(args[0], Tensor):
            return NotImplemented
        target, index = args[0], args[1]
        if function.__name__ == "masked_select":
            return _selected(target, index)
        mask, *rest = index if isinstance(index, tuple) else (index,)
        if not _is_mask(mask, target) or any(isinstance(each, Tensor) for each in rest):
            return NotImplemented
        if mask.ndim == 2:
            reads = function.__name__ == "__getitem__" and not rest
            return _one_per_row(target, mask) if reads else NotImplemented
        if function.__name__ == "__getitem__":
            return target[(slice(None), *rest)].clone()
        if rest:
            return NotImplemented
        chosen = mask.reshape([-1] + [1] * (target.ndim - 1))
        target.copy_(torch.where(chosen, torch.as_tensor(args[2], dtype=target.dtype), target))
        return None


class AnyRowRule:
    """`if mask.any():`, as true: without a row that counts, all of them are put aside."""

    name = "any_row_to_true"
    reason = "the code branches on values, around rows that a mask chooses"
    functions = frozenset({"any", "__bool__"})

    def replace(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What `any` of a whole mask gives, remembered; True for its truth value."""
        tensor = args[0] if args else None
        if not isinstance(tensor, Tensor):
            return NotImplemented
        if function.__name__ == "__bool__":
            return True if getattr(tensor, _ANY, False) else NotImplemented
        if len(args) > 1 or kwargs or tensor.dtype != torch.bool:
            return NotImplemented
        result = function(tensor)
        setattr(result, _ANY, True)
        return result


_ANY = "_pocketrec_any"


def _is_mask(index: Any, target: Tensor) -> bool:
    mask = isinstance(index, Tensor) and index.dtype == torch.bool
    return mask and 1 <= index.ndim <= min(2, target.ndim)


def _selected(tensor: Tensor, mask: Any) -> Any:
    """All elements in their order, where the mask chooses whole rows."""
    whole = mask.ndim == tensor.ndim > 1 and all(size == 1 for size in mask.shape[1:])
    return tensor.reshape(-1) if whole else NotImplemented


def _one_per_row(tensor: Tensor, mask: Tensor) -> Tensor:
    """The one place of each row that the mask chooses, the first; zeros where it chooses none."""
    first = torch.logical_and(mask, mask.cumsum(1) == 1)
    wide = first.reshape([*first.shape] + [1] * (tensor.ndim - 2))
    return torch.where(wide, tensor, torch.zeros((), dtype=tensor.dtype)).sum(dim=1)
