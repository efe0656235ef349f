"""A module of 16 bits that casts by itself, computed in float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

_NARROW = (torch.float16, torch.bfloat16)
_CASTS = frozenset({"half", "bfloat16"})


class InFloat32(TorchFunctionMode):
    """While it lasts, every cast to 16 bits is one to float32."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        if getattr(func, "__name__", "") in _CASTS:
            return args[0].float()
        args, kwargs = tree_map(_wide, (tuple(args), kwargs or {}))
        return func(*args, **kwargs)


def _wide(value: Any) -> Any:
    return torch.float32 if isinstance(value, torch.dtype) and value in _NARROW else value
