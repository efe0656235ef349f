"""What convolution and pooling share: padding by name, and a view of all windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ExecutionError

Array = npt.NDArray[Any]


def sizes(values: Any, count: int, default: int) -> list[int]:
    """`values` as `count` ints, or `count` times `default` where nothing was given."""
    if values is None:
        return [default] * count
    given = [int(value) for value in np.asarray(values).reshape(-1)]
    if len(given) != count:
        raise ExecutionError(f"got {given}; expected {count} values, one per spatial axis")
    return given


def padding(
    pad_type: str, pad: Any, *, extents: Sequence[int], kernel: Sequence[int], strides: Sequence[int]
) -> list[tuple[int, int]]:
    """Elements to pad before and after each spatial axis; `kernel` counts its dilation.

    `same` gives an output of ceil(extent / stride), the odd element behind; `same_lower` in front.
    The op's text derives `same` from the kernel alone, which holds for stride 1 only; sizes come
    from coremltools' `aggregated_pad`.
    """
    if pad_type == "valid":
        return [(0, 0)] * len(extents)
    if pad_type == "custom":
        flat = sizes(pad, 2 * len(extents), 0)
        return list(zip(flat[::2], flat[1::2], strict=True))
    if pad_type not in ("same", "same_lower"):
        raise ExecutionError(f"pad_type {pad_type!r} is not known; expected valid, same, same_lower, custom")
    pads = []
    for extent, width, stride in zip(extents, kernel, strides, strict=True):
        total = max(0, (-(-extent // stride) - 1) * stride + width - extent)
        front = total // 2 if pad_type == "same" else total - total // 2
        pads.append((front, total - front))
    return pads


def windows(x: Array, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> Array:
    """A view [n, C, *out, *kernel] of all windows of `x` [n, C, *spatial]."""
    steps = x.strides[2:]
    out = [
        (extent - (width - 1) * dilation - 1) // stride + 1
        for extent, width, stride, dilation in zip(x.shape[2:], kernel, strides, dilations, strict=True)
    ]
    if min(out) < 1:
        raise ExecutionError(f"kernel {list(kernel)} does not fit padded input {list(x.shape)}")
    moves = [step * stride for step, stride in zip(steps, strides, strict=True)]
    inner = [step * dilation for step, dilation in zip(steps, dilations, strict=True)]
    return np.lib.stride_tricks.as_strided(
        x,
        shape=(*x.shape[:2], *out, *kernel),
        strides=(*x.strides[:2], *moves, *inner),
        writeable=False,
    )
