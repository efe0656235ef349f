"""Kernels for convolution in one to three dimensions: conv, conv_quantized, conv_transpose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.kernels import window
from pocketrec.validate.coreml_program.kernels.linear import product as multiply

Array = npt.NDArray[Any]


def _check_channels(x: Array, weight: Array, groups: int) -> None:
    if x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise ExecutionError(
            f"weight {list(weight.shape)} in {groups} groups does not take {x.shape[1]} channels"
        )


def _add_bias(y: Array, bias: Array | None) -> Array:
    if bias is not None:
        y += np.asarray(bias).reshape((1, -1) + (1,) * (y.ndim - 2))
    return y


def conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    strides: Array | None = None,
    pad_type: str = "valid",
    pad: Array | None = None,
    dilations: Array | None = None,
    groups: Any = 1,
    *,
    op: Any = None,
) -> Array:
    """[n, C_out, *out]: `x` [n, C_in, *d] correlated with `weight` [C_out, C_in/groups, *K], plus bias."""
    rank, parts = x.ndim - 2, int(groups)
    _check_channels(x, weight, parts)
    kernel = weight.shape[2:]
    steps, spread = window.sizes(strides, rank, 1), window.sizes(dilations, rank, 1)
    reach = [(width - 1) * dilation + 1 for width, dilation in zip(kernel, spread, strict=True)]
    pads = window.padding(str(pad_type), pad, extents=x.shape[2:], kernel=reach, strides=steps)
    if any(amount for pair in pads for amount in pair):
        x = np.pad(x, [(0, 0), (0, 0), *pads])
    return _add_bias(_correlate(x, weight, steps, spread, parts, op), bias)


def _correlate(
    x: Array, weight: Array, strides: list[int], dilations: list[int], groups: int, op: Any
) -> Array:
    kernel, (n, channels) = weight.shape[2:], x.shape[:2]
    rank = len(kernel)
    view = window.windows(x, kernel, strides, dilations)
    out = view.shape[2 : 2 + rank]
    if channels == groups == weight.shape[0] and (op is None or op.accumulation == "float32"):
        return _depthwise(view, weight, out)
    # [n, C, *K, *out] puts the kernel beside the channels, so that one GEMM per group is left.
    order = (0, 1, *range(2 + rank, 2 + 2 * rank), *range(2, 2 + rank))
    columns = view.transpose(order).reshape(n, groups, channels // groups * prod(kernel), prod(out))
    filters = weight.reshape(groups, weight.shape[0] // groups, -1)
    return multiply(filters, columns, op).reshape(n, weight.shape[0], *out)


def _depthwise(view: Array, weight: Array, out: Sequence[int]) -> Array:
    total: Array = np.zeros((*view.shape[:2], *out), dtype=np.result_type(view, weight))
    for offset in product(*(range(width) for width in weight.shape[2:])):
        here: Any = (Ellipsis, *offset)
        total += view[here] * weight[here].reshape((1, -1) + (1,) * len(out))
    return total


def conv_quantized(
    x: Array,
    weight: Array,
    quantization_type: str,
    quant_scale: Array,
    quant_bias: Array,
    bias: Array | None = None,
    nbits: Any = 8,
    strides: Array | None = None,
    pad_type: str = "valid",
    pad: Array | None = None,
    dilations: Array | None = None,
    groups: Any = 1,
    *,
    op: Any = None,
) -> Array:
    """`conv` with `weight · quant_scale + quant_bias` as weight; scale and bias per output channel or single.

    A look-up table has no documented layout here, so quantization_type `lut` is refused.
    """
    if quantization_type != "linear":
        raise ExecutionError(
            f"quantization_type {quantization_type!r} is not implemented; use constexpr_lut_to_dense and conv"
        )
    shape = (-1,) + (1,) * (weight.ndim - 1)
    scale, offset = (
        np.asarray(value, dtype=np.float32).reshape(shape) for value in (quant_scale, quant_bias)
    )
    dense = weight.astype(np.float32) * scale + offset
    return conv(x, dense, bias, strides, pad_type, pad, dilations, groups, op=op)


def conv_transpose(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    pad: Array | None = None,
    output_shape: Array | None = None,
    pad_type: str = "valid",
    strides: Array | None = None,
    dilations: Array | None = None,
    groups: Any = 1,
    *,
    op: Any = None,
) -> Array:
    """[n, C_out, *out]: the gradient of `conv` with `weight` [C_in, C_out/groups, *K], plus bias.

    The full result is cut (or filled with zeros) to `output_shape`, or to what `pad_type` gives;
    `same` yields extent · stride and cuts the odd element behind.
    """
    rank, parts = x.ndim - 2, int(groups)
    if x.shape[1] != weight.shape[0] or weight.shape[0] % parts:
        raise ExecutionError(f"weight {list(weight.shape)} does not take {x.shape[1]} channels")
    steps, spread = window.sizes(strides, rank, 1), window.sizes(dilations, rank, 1)
    full = _scatter(x, weight, steps, spread, parts, op)
    wanted = None if output_shape is None else [int(size) for size in output_shape[2:]]
    cut = _cuts(full.shape[2:], x.shape[2:], steps, str(pad_type), pad, wanted)
    return _add_bias(_fit(full, cut), bias)


def _cuts(
    full: Sequence[int], extents: Sequence[int], strides: list[int], pad_type: str, pad: Any, wanted: Any
) -> list[tuple[int, int]]:
    """(first, length) of the part to keep along each spatial axis."""
    pads = window.sizes(pad if pad_type == "custom" else None, 2 * len(full), 0)
    cuts = []
    for axis, size in enumerate(full):
        first, length = pads[2 * axis], size - pads[2 * axis] - pads[2 * axis + 1]
        if pad_type == "same":
            length = extents[axis] * strides[axis]
        if wanted is not None:
            length = wanted[axis]
        if pad_type in ("same", "same_lower"):
            surplus = max(0, size - length)
            first = surplus // 2 if pad_type == "same" else surplus - surplus // 2
        cuts.append((first, length))
    return cuts


def _fit(full: Array, cuts: list[tuple[int, int]]) -> Array:
    index = tuple(slice(first, first + length) for first, length in cuts)
    kept = full[(slice(None), slice(None), *index)]
    lacking = [(0, length - size) for (_, length), size in zip(cuts, kept.shape[2:], strict=True)]
    if any(after for _, after in lacking):
        return np.pad(kept, [(0, 0), (0, 0), *lacking])
    return kept.copy()


def _scatter(
    x: Array, weight: Array, strides: list[int], dilations: list[int], groups: int, op: Any
) -> Array:
    n, channels, extents, kernel = x.shape[0], x.shape[1], x.shape[2:], weight.shape[2:]
    inner, width = channels // groups, weight.shape[1]
    filters = weight.reshape(groups, inner, width * prod(kernel)).swapaxes(1, 2)
    columns = multiply(filters, x.reshape(n, groups, inner, prod(extents)), op)
    taps = columns.reshape(n, groups * width, *kernel, *extents)
    full = [
        (extent - 1) * stride + (size - 1) * dilation + 1
        for extent, stride, size, dilation in zip(extents, strides, kernel, dilations, strict=True)
    ]
    out = np.zeros((n, groups * width, *full), dtype=columns.dtype)
    for offset in product(*(range(size) for size in kernel)):
        starts = [place * dilation for place, dilation in zip(offset, dilations, strict=True)]
        target: Any = tuple(
            slice(start, start + (extent - 1) * stride + 1, stride)
            for start, extent, stride in zip(starts, extents, strides, strict=True)
        )
        source: Any = (slice(None), slice(None), *offset)
        out[(Ellipsis, *target)] += taps[source]
    return out


KERNELS: dict[str, Callable[..., Any]] = {
    "conv": conv,
    "conv_quantized": conv_quantized,
    "conv_transpose": conv_transpose,
}
