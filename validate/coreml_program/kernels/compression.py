"""Kernels of the constexpr ops of iOS16 and iOS18: compressed constants to dense tensors.

Both opsets share names; where they differ in inputs, one kernel takes both sets.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ExecutionError

Array = npt.NDArray[Any]


def _along(values: Array, axis: int, rank: int) -> Array:
    values = np.asarray(values)
    if values.ndim == 0 or values.size == 1:
        return values.reshape(())
    shape = [1] * rank
    shape[axis] = values.size
    return values.reshape(shape)


def _float_dtype(scale: Array) -> Any:
    return scale.dtype if np.asarray(scale).dtype.kind == "f" else np.dtype(np.float32)


def constexpr_affine_dequantize(quantized_data: Array, zero_point: Array, scale: Array, axis: Any) -> Array:
    """`scale · (quantized_data - zero_point)`; scale and zero point are single or one per slice of `axis`."""
    rank, place = quantized_data.ndim, int(axis)
    dense: Array = quantized_data.astype(_float_dtype(scale))
    dense -= _along(zero_point, place, rank).astype(dense.dtype)
    dense *= _along(scale, place, rank)
    return dense


def constexpr_cast(source_val: Array, output_dtype: str) -> Array:
    """`source_val` as float32, the only `output_dtype` that the op knows."""
    if str(output_dtype) != "fp32":
        raise ExecutionError(f"output_dtype {str(output_dtype)!r} is not known; expected fp32")
    return source_val.astype(np.float32)


def _unpack(packed: Array, bits: int, count: int) -> Array:
    """`count` unsigned integers of `bits` bits each, packed from the least significant bit on."""
    flags = np.unpackbits(packed.view(np.uint8), bitorder="little", count=bits * count)
    return np.packbits(flags.reshape(count, bits), axis=1, bitorder="little")[:, 0]


def constexpr_lut_to_dense(
    indices: Array, lut: Array, shape: Array | None = None, vector_axis: Any = None
) -> Array:
    """The entries of `lut` at `indices`.

    iOS16: `indices` are packed bytes, `lut` is [2^bits], `shape` that of the result. iOS18:
    `indices` have the shape of the result, save for `vector_axis`, which each vector of `lut`
    [*groups, 2^bits, vector] prolongs.
    """
    if shape is None:
        return _gather_lut(indices, lut, vector_axis)
    sizes = [int(size) for size in shape]
    bits = int(lut.size).bit_length() - 1
    return lut[_unpack(indices, bits, prod(sizes))].reshape(sizes)


def _gather_lut(indices: Array, lut: Array, vector_axis: Any) -> Array:
    groups, palettes, width = lut.shape[:-2], lut.shape[-2], lut.shape[-1]
    if len(groups) != indices.ndim or any(n % g for n, g in zip(indices.shape, groups, strict=True)):
        raise ExecutionError(f"lut {list(lut.shape)} does not fit indices {list(indices.shape)}")
    if indices.size and int(indices.max()) >= palettes:
        raise ExecutionError(f"index {int(indices.max())} is outside a lut of {palettes} entries")
    tables = lut.reshape(-1, palettes, width)
    table: Any = 0
    for axis, (size, count) in enumerate(zip(indices.shape, groups, strict=True)):
        steps = np.arange(size) // (size // count)
        table = table * count + steps.reshape((-1,) + (1,) * (indices.ndim - 1 - axis))
    found: Array = tables[table, indices.astype(np.intp)] if len(tables) > 1 else tables[0][indices]
    if width == 1:
        return found[..., 0]
    if vector_axis is None:
        raise ExecutionError(f"lut holds vectors of {width}; vector_axis must say where they go")
    axis = int(vector_axis) % indices.ndim
    sizes = list(indices.shape)
    sizes[axis] *= width
    return np.moveaxis(found, -1, axis + 1).reshape(sizes)


def constexpr_sparse_to_dense(nonzero_data: Array, mask: Array, shape: Array | None = None) -> Array:
    """`nonzero_data` in row-major order where `mask` is set, else 0.

    iOS16: `mask` is packed bytes, and `shape` that of the result. iOS18: `mask` has that shape.
    """
    if shape is not None:
        sizes = [int(size) for size in shape]
        flags = np.unpackbits(mask.view(np.uint8), bitorder="little", count=prod(sizes)).reshape(sizes)
    else:
        flags = mask
    chosen = flags != 0
    if int(np.count_nonzero(chosen)) != nonzero_data.size:
        set_bits = int(np.count_nonzero(chosen))
        raise ExecutionError(f"mask has {set_bits} bits set for {nonzero_data.size} values")
    dense = np.zeros(flags.shape, dtype=nonzero_data.dtype)
    dense[chosen] = nonzero_data
    return dense


def constexpr_blockwise_shift_scale(data: Array, scale: Array, offset: Array | None = None) -> Array:
    """`scale · (data - offset)`, where one scale and offset serve a block of data.shape / scale.shape."""
    if scale.ndim != data.ndim or any(n % s for n, s in zip(data.shape, scale.shape, strict=True)):
        raise ExecutionError(f"scale {list(scale.shape)} does not divide data {list(data.shape)}")
    split: list[int] = []
    single: list[int] = []
    for size, blocks in zip(data.shape, scale.shape, strict=True):
        split += [blocks, size // blocks]
        single += [blocks, 1]
    dense: Array = data.astype(_float_dtype(scale)).reshape(split)
    if offset is not None:
        dense -= offset.astype(dense.dtype).reshape(single)
    dense *= scale.reshape(single)
    return dense.reshape(data.shape)


def constexpr_lut_to_sparse(
    indices_mask: Array, indices_nonzero_data: Array, lut: Array, vector_axis: Any = None
) -> tuple[Array, Array]:
    """(mask, nonzero data), set entries looked up in `lut`; vectors prolong both along `vector_axis`."""
    dense = _gather_lut(constexpr_sparse_to_dense(indices_nonzero_data, indices_mask), lut, vector_axis)
    mask = indices_mask
    if lut.shape[-1] > 1:
        mask = np.repeat(mask, lut.shape[-1], axis=int(vector_axis))
    return mask, dense[mask != 0]


def constexpr_sparse_blockwise_shift_scale(
    data_mask: Array, nonzero_data: Array, scale: Array, offset: Array | None = None
) -> tuple[Array, Array]:
    """(mask, nonzero data), set entries shifted and scaled as by constexpr_blockwise_shift_scale."""
    dense = constexpr_sparse_to_dense(nonzero_data, data_mask)
    return data_mask, constexpr_blockwise_shift_scale(dense, scale, offset)[data_mask != 0]


KERNELS: dict[str, Callable[..., Any]] = {
    "constexpr_affine_dequantize": constexpr_affine_dequantize,
    "constexpr_blockwise_shift_scale": constexpr_blockwise_shift_scale,
    "constexpr_cast": constexpr_cast,
    "constexpr_lut_to_dense": constexpr_lut_to_dense,
    "constexpr_lut_to_sparse": constexpr_lut_to_sparse,
    "constexpr_sparse_blockwise_shift_scale": constexpr_sparse_blockwise_shift_scale,
    "constexpr_sparse_to_dense": constexpr_sparse_to_dense,
}
