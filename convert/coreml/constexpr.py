"""A compressed tensor as operations of a Core ML program, by deployment target.

    linear          iOS16  constexpr_affine_dequantize (8 bit, per row or tensor)
                    iOS18  constexpr_blockwise_shift_scale (4 bit, blocks)
    palette         iOS16  constexpr_lut_to_dense (one codebook, not 3 bit)
                    iOS18  constexpr_lut_to_dense with groups
    product         iOS18  constexpr_lut_to_dense with vectors; times the basis where there is one
    scaled_palette  iOS18  constexpr_lut_to_dense to int8, then constexpr_blockwise_shift_scale
    sparse          iOS16  constexpr_sparse_to_dense
    float16         iOS16  constexpr_cast
    hot_rows        as its parts; concatenated and put in order, which is counted from bits

coremltools is imported with this module, so import it inside functions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt
from coremltools.converters.mil.mil import Builder, Var
from coremltools.converters.mil.mil.types import type_mapping

from pocketrec.convert.coreml.lowest import check_target as check_target
from pocketrec.convert.coreml.lowest import lowest_target as lowest_target
from pocketrec.quantize.tensor import (
    Float16Tensor,
    LinearTensor,
    PaletteTensor,
    PartsTensor,
    ProductTensor,
    QuantizedTensor,
    ScaledPaletteTensor,
    SparseTensor,
)
from pocketrec.source.stubs import Stub, contiguous

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a program a tensor is written, and how it is read there.

    Attributes:
        before: the operation before which it is written.
        transposed: whether the program reads `values.T`.
        dtype: of the result, float16 or float32.
        minimum_deployment_target: of the program.
    """

    before: Any
    transposed: bool
    dtype: type[np.floating[Any]]
    minimum_deployment_target: str

    @property
    def grouped(self) -> bool:
        """Whether the ops of iOS18 are there."""
        return self.minimum_deployment_target >= "iOS18"

    def turn(self, array: Array) -> Array:
        """The array as the program reads it."""
        return contiguous(array.T) if self.transposed else array


def constexpr(tensor: QuantizedTensor, place: Place) -> Var:
    """The variable that stands for the tensor's values at `place`; raises CannotCarry."""
    check_target(tensor, place.minimum_deployment_target)
    match tensor:
        case PartsTensor():
            return _hot_rows(tensor, place)
        case LinearTensor():
            codes = _sub_byte(place.turn(_like(tensor.codes, tensor)), tensor.bits)
            return _scaled(tensor, tensor.zero_points, codes, place)
        case ProductTensor(basis=basis) if basis is not None:
            return _in_columns(tensor, basis, place)
        case PaletteTensor():
            return _table(tensor, place, tensor.codebooks.astype(place.dtype))
        case ScaledPaletteTensor():
            return _scaled(tensor, None, _table(tensor, place, tensor.codebooks), place)
        case Float16Tensor():
            return _float16(tensor, place)
        case SparseTensor():
            return _sparse(tensor, place)
        case _:
            assert_never(tensor)


def _name(tensor: QuantizedTensor, kind: str) -> str:
    return re.sub(r"\W", "_", f"{tensor.name}_{kind}")


def _sub_byte(codes: Array, bits: int) -> Array:
    """The codes under coremltools' own dtype for integers of so many bits."""
    if bits == 8:
        return codes
    sign = "int" if codes.dtype.kind == "i" else "uint"
    return codes.astype(getattr(type_mapping, f"np_{sign}{bits}_dtype"))


def _like(array: Array, tensor: QuantizedTensor) -> Array:
    """A two-dimensional array with the tensor's number of axes, none of which is split."""
    if len(tensor.shape) < 2:
        return array.reshape(-1)
    if array.shape == (tensor.rows, tensor.columns):
        return array.reshape(tensor.shape)
    return array.reshape(*array.shape, *[1] * (len(tensor.shape) - 2))


def _scaled(
    tensor: LinearTensor | ScaledPaletteTensor, zero_points: Array | None, data: Any, place: Place
) -> Var:
    """`(data - zero_points) * scales`; `data` is an array, or a variable of iOS18."""
    name = _name(tensor, "dequantized")
    if place.grouped:
        scale = place.turn(_like(tensor.scales.astype(place.dtype), tensor))
        offset = None
        if zero_points is not None:
            offset = _sub_byte(place.turn(_like(zero_points, tensor)), tensor.bits)
        return Builder.constexpr_blockwise_shift_scale(
            data=data, scale=scale, offset=offset, before_op=place.before, name=name
        )
    scales = tensor.scales.astype(place.dtype).ravel()
    zeros = np.zeros(1, data.dtype) if zero_points is None else zero_points.ravel()
    return Builder.constexpr_affine_dequantize(
        quantized_data=data,
        zero_point=zeros if len(zeros) > 1 else zeros[0],
        scale=scales if len(scales) > 1 else scales[0],
        axis=np.int32(1 if place.transposed else 0),
        before_op=place.before,
        name=name,
    )


def _table(tensor: PaletteTensor | ScaledPaletteTensor, place: Place, entries: Array) -> Var:
    """The entries at the codes; `entries` has the form of `codebooks`."""
    name, width = _name(tensor, "palette"), entries.shape[-1]
    if not place.grouped:
        indices = place.turn(_like(tensor.codes, tensor))
        shape = np.array(indices.shape, np.uint32)
        packed = _packed(indices, tensor.bits)
        flat = entries.ravel()
        return Builder.constexpr_lut_to_dense(
            indices=packed, lut=flat, shape=shape, before_op=place.before, name=name
        )
    if len(tensor.shape) < 2:
        codes, lut = tensor.codes.reshape(-1), entries[0]
    elif len(tensor.shape) == 2:
        codes = place.turn(tensor.codes)
        lut = entries.swapaxes(0, 1) if place.transposed else entries
    else:
        codes = tensor.codes.reshape(tensor.shape)
        lut = entries.reshape(*[1] * len(tensor.shape), *entries.shape[-2:])
    axis = 0 if place.transposed or codes.ndim == 1 else 1
    return Builder.constexpr_lut_to_dense(
        indices=_sub_byte(codes, tensor.bits),
        lut=np.ascontiguousarray(lut),
        vector_axis=np.int32(axis) if width > 1 else None,
        before_op=place.before,
        name=name,
    )


def _packed(codes: Array, bits: int) -> Array:
    """The codes as bytes, each code's least significant bit first, without gaps."""
    if isinstance(codes, Stub):
        return codes.mapped(("packed", bits), partial(_packed, bits=bits), (-(-codes.size * bits // 8),))
    flags = np.unpackbits(codes.reshape(-1, 1).astype(np.uint8), axis=1, count=bits, bitorder="little")
    return np.packbits(flags.ravel(), bitorder="little")


def _sparse(tensor: SparseTensor, place: Place) -> Var:
    dense = place.turn(tensor.dequantize().astype(place.dtype))
    mask = place.turn(_like(tensor.mask, tensor))
    name, kept = _name(tensor, "sparse"), dense[mask]
    if place.grouped:
        bits = _sub_byte(mask.astype(np.uint8), 1)
        return Builder.constexpr_sparse_to_dense(
            nonzero_data=kept, mask=bits, before_op=place.before, name=name
        )
    return Builder.constexpr_sparse_to_dense(
        nonzero_data=kept,
        mask=np.packbits(mask.ravel(), bitorder="little"),
        shape=np.array(mask.shape, np.uint32),
        before_op=place.before,
        name=name,
    )


def _float16(tensor: Float16Tensor, place: Place) -> Var:
    return _halves(place.turn(tensor.codes.reshape(tensor.shape)), _name(tensor, "float16"), place)


def _halves(values: Array, name: str, place: Place) -> Var:
    """Numbers that are stored as float16, in the program's type."""
    if place.dtype == np.float16:
        return Builder.const(val=values, before_op=place.before, name=name)
    return Builder.constexpr_cast(source_val=values, output_dtype="fp32", before_op=place.before, name=name)


def _in_columns(tensor: ProductTensor, basis: Array, place: Place) -> Var:
    """Rows of coordinates times the basis; `read_by_coordinates` puts what reads them in between."""
    coordinates = constexpr(tensor.coordinates, place)
    held = _halves(place.turn(basis), _name(tensor, "basis"), place)
    x, y = (held, coordinates) if place.transposed else (coordinates, held)
    return Builder.matmul(x=x, y=y, before_op=place.before, name=_name(tensor, "columns"))


def _hot_rows(tensor: PartsTensor, place: Place) -> Var:
    axis = 1 if place.transposed else 0
    parts = [constexpr(each, place) for each in tensor.parts]
    joined = Builder.concat(values=parts, axis=axis, before_op=place.before, name=_name(tensor, "parts"))
    order = _order(tensor, place)
    return Builder.gather(
        x=joined, indices=order, axis=axis, before_op=place.before, name=_name(tensor, "rows")
    )


def _order(tensor: PartsTensor, place: Place) -> Var:
    """The order of a table in parts from its mask, int32: counted in the program, as its bits are few."""

    def write(op: str, **inputs: Any) -> Var:
        return getattr(Builder, op)(**inputs, before_op=place.before)

    bits = _sub_byte(tensor.mask.astype(np.uint8), 1)
    values = np.array([[[0], [1]]], np.int8)
    hot = write("constexpr_lut_to_dense", indices=bits, lut=values, name=_name(tensor, "mask"))
    first = write("cast", x=hot, dtype="int32")
    second = write("sub", x=np.int32(1), y=first)
    after = write("add", x=write("cumsum", x=second, axis=0), y=np.int32(tensor.parts[0].rows))
    before = write("mul", x=write("cumsum", x=first, axis=0), y=first)
    places = write("add", x=before, y=write("mul", x=after, y=second))
    return write("sub", x=places, y=np.int32(1))
