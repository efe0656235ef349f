"""Pools whose last window would begin in the padding, which PyTorch leaves out and ONNX does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pocketrec.convert.rewrite.ops import OpRule

aten = torch.ops.aten
_CEIL = {"avg": 4, "max": 5}  # where `ceil_mode` stands among the arguments; a maximum has dilation before it


def _rounded_down(op: Any, kind: str, axes: int) -> Callable[..., Any]:
    """What the op gives with `ceil_mode`, without it where that makes no window more."""

    def replace(x: Tensor, kernel: Sequence[int], *options: Any, **named: Any) -> Any:
        ceil = _CEIL[kind]
        if len(options) < ceil - 1 or not options[ceil - 2]:
            return NotImplemented
        stride, padding = (options[each] or kernel if each == 0 else options[each] for each in (0, 1))
        dilation = options[2] if kind == "max" else [1]
        sizes = x.shape[-axes:]
        windows = zip(
            sizes, *(_each(given, axes) for given in (kernel, stride, padding, dilation)), strict=True
        )
        if not all(isinstance(size, int) for size in sizes) or any(_adds_one(*each) for each in windows):
            return NotImplemented
        return op(x, kernel, *options[: ceil - 2], False, *options[ceil - 1 :], **named)

    return replace


def _each(given: Sequence[int], axes: int) -> list[int]:
    return list(given) * axes if len(given) == 1 else list(given)


def _adds_one(size: int, kernel: int, stride: int, padding: int, dilation: int) -> bool:
    """Whether rounding up gives a window more that begins within the tensor or before it."""
    whole, left = divmod(size + 2 * padding - dilation * (kernel - 1) - 1, stride)
    return left > 0 and (whole + 1) * stride < size + padding


_REASON = "ONNX counts a last window that begins in the padding, and PyTorch does not"
_OPS = (
    ("avg", 1, aten.avg_pool1d.default),
    ("avg", 2, aten.avg_pool2d.default),
    ("avg", 3, aten.avg_pool3d.default),
    ("max", 1, aten.max_pool1d.default),
    ("max", 2, aten.max_pool2d.default),
    ("max", 2, aten.max_pool2d_with_indices.default),
    ("max", 3, aten.max_pool3d.default),
    ("max", 3, aten.max_pool3d_with_indices.default),
)

RULES = tuple(
    OpRule(
        name=f"{kind}_pool_to_whole_windows",
        op=op,
        replace=_rounded_down(op, kind, axes),
        reason=_REASON,
    )
    for kind, axes, op in _OPS
)
