"""Where a module chooses among equal scores, which PyTorch orders as it happens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pocketrec.convert.watch.lines import user_line
from pocketrec.convert.watch.survey import function_name

if TYPE_CHECKING:
    from torch import nn

_CHOOSING = frozenset({"topk", "sort", "argsort", "msort"})


def ties_of(module: nn.Module, inputs: Sequence[Tensor]) -> str:
    """The first `topk at file:line` that meets equal values in a run of `module`; empty where none does."""
    watcher = _Watcher()
    with torch.no_grad(), watcher:
        module(*inputs)
    return watcher.found[0] if watcher.found else ""


class _Watcher(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = function_name(func)
        if name in _CHOOSING and args and isinstance(args[0], Tensor) and args[0].ndim:
            _, *rest = args
            place = 1 if name == "topk" else 0
            axis = kwargs.get("dim", rest[place] if len(rest) > place else -1)
            if _has_equal(args[0], axis if isinstance(axis, int) else -1):
                self.found.append(f"{name} at {user_line()}")
        return func(*args, **kwargs)


def _has_equal(values: Tensor, axis: int) -> bool:
    ordered = torch.sort(values.detach(), dim=axis).values
    return bool((torch.diff(ordered, dim=axis) == 0).any())
