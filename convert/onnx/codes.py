"""A compressed tensor as nodes of an ONNX graph: whole, or only the rows that are looked up.

    rows    gather the codes, then dequantize only those: the table stays compressed in memory
    whole   dequantize the table; ONNX Runtime folds this when it loads, so products run as in float32

Codes below 8 bits are packed into bytes and unpacked by shifts and masks, which every opset from
18 on has; 3 and 6 bits are stored as 2 + 1 and 4 + 2. ONNX Runtime turns DequantizeLinear before a
product into integer arithmetic with quantized activations, so that op is not used.
"""

from __future__ import annotations

from typing import Any, assert_never

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from pocketrec.convert.onnx.writer import OnnxWriter
from pocketrec.quantize.tensor import (
    Float16Tensor,
    LinearTensor,
    PaletteTensor,
    PartsTensor,
    ProductTensor,
    QuantizedTensor,
    RowTensor,
    ScaledPaletteTensor,
    SparseTensor,
)
from pocketrec.source.stubs import Stub

Array = npt.NDArray[Any]
_Coded = LinearTensor | PaletteTensor | ScaledPaletteTensor
_PLANES = {1: ((1, 0),), 2: ((2, 0),), 3: ((2, 0), (1, 2)), 4: ((4, 0),), 6: ((4, 0), (2, 4)), 8: ((8, 0),)}


class OnnxCodes:
    """One compressed tensor in one graph; its codes are stored once, however often they are read.

    Attributes:
        tensor: the compressed tensor.
    """

    tensor: RowTensor | PartsTensor

    def __init__(self, tensor: RowTensor | PartsTensor, writer: OnnxWriter) -> None:
        self.tensor, self._writer = tensor, writer
        parts = tensor.parts if isinstance(tensor, PartsTensor) else ()
        self._parts = [OnnxCodes(each, writer) for each in parts]
        self._order = self._places(tensor) if isinstance(tensor, PartsTensor) else ""

    def rows(self, ids: str) -> str:
        """The values of the rows `ids`, float32 `[*ids.shape, columns]`."""
        return self._values(ids)

    def whole(self) -> str:
        """All values, float32, in the tensor's own shape."""
        return _shaped(self._values(None), self.tensor.shape, self._writer)

    def _values(self, ids: str | None) -> str:
        match self.tensor:
            case PartsTensor() as tensor:
                return self._joined(tensor, ids)
            case Float16Tensor() as tensor:
                return self._numbers(tensor.codes, ids, "codes")
            case LinearTensor() as tensor:
                return self._levels(tensor, ids)
            case ProductTensor() as tensor:
                return self._in_columns(self._looked_up(tensor, ids), tensor.basis)
            case PaletteTensor() as tensor:
                return self._looked_up(tensor, ids)
            case ScaledPaletteTensor() as tensor:
                return self._scaled(self._looked_up(tensor, ids), tensor, ids)
            case _:
                assert_never(self.tensor)

    def _picked(self, array: Array, ids: str | None, kind: str) -> str:
        """The array's rows `ids`; all of them where that is None, or where all rows share one."""
        stored, ids = self._writer.constant(array, kind), self._rows(array, ids)
        return stored if ids is None else self._writer.node("Gather", [stored, ids], axis=0)

    def _numbers(self, array: Array, ids: str | None, kind: str) -> str:
        """The same of an array of floats, float32."""
        return self._writer.numbers(array, kind, self._rows(array, ids))

    def _rows(self, array: Array, ids: str | None) -> str | None:
        return None if len(array) == 1 != self.tensor.rows else ids

    def _codes(self, tensor: _Coded, ids: str | None) -> str:
        """Codes as uint8, or int8 where they are of 8 bits and signed, one a number."""
        write = self._writer
        if tensor.bits == 8:
            return self._picked(tensor.codes, ids, "codes")
        unsigned = unsigned_codes(tensor)
        total = ""
        for bits, shift in _PLANES[tensor.bits]:
            plane = (unsigned >> shift) & ((1 << bits) - 1)
            packed, rows = self._picked(pack(plane, bits), ids, "codes"), len(plane) if ids is None else None
            part = _unpacked(packed, bits, plane.shape[1], write, rows=rows)
            if shift:
                part = write.node("BitShift", [part, write.constant(np.uint8(shift))], direction="LEFT")
            total = write.node("BitwiseOr", [total, part]) if total else part
        return total

    def _looked_up(self, tensor: PaletteTensor | ScaledPaletteTensor, ids: str | None) -> str:
        """The codebooks' entries at the codes, float32."""
        codes, write, books = self._codes(tensor, ids), self._writer, tensor.codebooks
        row_groups, column_groups, entries, width = books.shape
        index = write.cast(codes, TensorProto.INT32)
        if column_groups > 1:
            group = np.arange(tensor.codes.shape[1]) // (tensor.codes.shape[1] // column_groups)
            index = write.node("Add", [index, write.constant((group * entries).astype(np.int32))])
        if row_groups > 1:
            index = write.node("Add", [index, self._row_offset(ids, row_groups, column_groups * entries)])
        flat = books.reshape(-1, width) if width > 1 else books.ravel()
        found = write.numbers(flat, "codebook", index)
        return write.merge_last(found) if width > 1 else found

    def _in_columns(self, coordinates: str, basis: Array | None) -> str:
        """Rows of coordinates as rows of the tensor."""
        if basis is None:
            return coordinates
        return self._writer.node("MatMul", [coordinates, self._writer.numbers(basis, "basis")])

    def _row_offset(self, ids: str | None, groups: int, step: int) -> str:
        write, rows = self._writer, self.tensor.rows
        if ids is None:
            bounds = [write.constant(np.int32(each)) for each in (0, rows, 1)]
            ids = write.node("Range", bounds)
        place = write.cast(ids, TensorProto.INT32)
        group = write.node("Div", [place, write.constant(np.int32(rows // groups))])
        offset = write.node("Mul", [group, write.constant(np.int32(step))])
        return write.node("Unsqueeze", [offset, write.constant(np.array([-1], np.int64), "shape")])

    def _levels(self, tensor: LinearTensor, ids: str | None) -> str:
        """`(codes - zero points) * scales`, float32."""
        write, zero = self._writer, zero_point(tensor)
        numbers = write.cast(self._codes(tensor, ids))
        if tensor.zero_points is not None:
            points = self._spread(self._picked(tensor.zero_points, ids, "zero_points"), tensor)
            numbers = write.node("Sub", [numbers, write.cast(points)])
        elif zero and tensor.bits < 8:
            numbers = write.node("Sub", [numbers, write.constant(np.float32(zero))])
        return self._scaled(numbers, tensor, ids)

    def _scaled(self, numbers: str, tensor: LinearTensor | ScaledPaletteTensor, ids: str | None) -> str:
        scales = self._spread(self._numbers(tensor.scales, ids, "scales"), tensor)
        return self._writer.node("Mul", [numbers, scales])

    def _spread(self, blocks: str, tensor: LinearTensor | ScaledPaletteTensor) -> str:
        """One number a block as one a column."""
        count = tensor.columns // tensor.block_size
        if count == 1:
            return blocks
        index = (np.arange(tensor.columns) // tensor.block_size).astype(np.int64)
        return self._writer.node("Gather", [blocks, self._writer.constant(index, "columns")], axis=-1)

    def _joined(self, tensor: PartsTensor, ids: str | None) -> str:
        """Rows of a table in parts: from either part where the order says so."""
        write = self._writer
        if ids is None:
            table = write.node("Concat", [each.whole() for each in self._parts], axis=0)
            return write.node("Gather", [table, self._order], axis=0)
        place = write.node("Gather", [self._order, ids], axis=0)
        hot = write.constant(np.int32(tensor.parts[0].rows))
        last = write.constant(np.int32(tensor.parts[0].rows - 1))
        first = self._parts[0].rows(write.node("Min", [place, last]))
        cold = write.node("Max", [write.node("Sub", [place, hot]), write.constant(np.int32(0))])
        inside = write.node("Less", [place, hot])
        mask = write.node("Unsqueeze", [inside, write.constant(np.array([-1], np.int64), "shape")])
        return write.node("Where", [mask, first, self._parts[1].rows(cold)])

    def _places(self, tensor: PartsTensor) -> str:
        """The order of a table in parts from its mask, int32; ONNX Runtime folds this when it loads."""
        write, axis = self._writer, self._writer.constant(np.int64(0))
        packed = write.constant(pack(tensor.mask.astype(np.uint8)[None], 1), "mask")
        flat = write.reshape(_unpacked(packed, 1, tensor.rows, write, rows=1), (-1,))
        first = write.cast(flat, TensorProto.INT32)
        second = write.node("Sub", [write.constant(np.int32(1)), first])
        count = write.constant(np.int32(tensor.parts[0].rows))
        after = write.node("Add", [write.node("CumSum", [second, axis]), count])
        mask = write.cast(flat, TensorProto.BOOL)
        places = write.node("Where", [mask, write.node("CumSum", [first, axis]), after])
        return write.node("Sub", [places, write.constant(np.int32(1))])


class OnnxLinear(OnnxCodes):
    """One linear tensor, whose codes and scales others may read as they are."""

    tensor: LinearTensor

    def __init__(self, tensor: LinearTensor, writer: OnnxWriter) -> None:
        super().__init__(tensor, writer)

    def codes(self) -> str:
        """The codes as they are stored; for tensors of 8 bits."""
        return self._codes(self.tensor, None)

    def scales(self) -> str:
        """The scales, float32 `[rows or 1, blocks]`."""
        return self._writer.numbers(self.tensor.scales, "scales")


class OnnxSparse:
    """One tensor of kept numbers, which have no place of their own to gather a row from.

    Attributes:
        tensor: the compressed tensor.
    """

    def __init__(self, tensor: SparseTensor, writer: OnnxWriter) -> None:
        self.tensor, self._writer = tensor, writer

    def whole(self) -> str:
        """All values, float32, in the tensor's own shape: the numbers under the mask, zeros elsewhere."""
        tensor, write = self.tensor, self._writer
        packed = write.constant(pack(tensor.mask.astype(np.uint8), 1), "mask")
        bits = _unpacked(packed, 1, tensor.columns, write, rows=tensor.rows)
        flat = write.reshape(write.cast(bits, TensorProto.INT64), (-1,))
        count = write.node("CumSum", [flat, write.constant(np.int64(0))])
        place = write.node(
            "Max", [write.node("Sub", [count, write.constant(np.int64(1))]), write.constant(np.int64(0))]
        )
        found = write.numbers(tensor.kept, "kept", place)
        kept = write.node("Mul", [found, write.cast(flat)])
        return _shaped(write.reshape(kept, (tensor.rows, tensor.columns)), tensor.shape, write)


def onnx_codes(tensor: QuantizedTensor, writer: OnnxWriter) -> OnnxCodes | OnnxSparse:
    """What writes a tensor's form."""
    match tensor:
        case SparseTensor():
            return OnnxSparse(tensor, writer)
        case LinearTensor():
            return OnnxLinear(tensor, writer)
        case _:
            return OnnxCodes(tensor, writer)


def _shaped(dense: str, shape: tuple[int, ...], write: OnnxWriter) -> str:
    """Values `[rows, columns]` in the tensor's own shape."""
    return dense if len(shape) == 2 else write.reshape(dense, shape)


def _unpacked(packed: str, bits: int, count: int, write: OnnxWriter, *, rows: int | None) -> str:
    """Codes `[..., count]` of bytes `[..., n]` as `pack` makes them: every byte at all its shifts at once.

    `rows` is how many there are where the bytes are a matrix; None for any other rank.
    """
    per_byte = 8 // bits
    wide = write.node("Unsqueeze", [packed, write.constant(np.array([-2], np.int64), "shape")])
    shifts = write.constant(np.arange(0, 8, bits, dtype=np.uint8)[:, None])
    shifted = write.node("BitShift", [wide, shifts], direction="RIGHT")
    mask = write.constant(np.uint8((1 << bits) - 1))
    codes = write.node("BitwiseAnd", [shifted, mask])
    width = per_byte * -(-count // per_byte)
    joined = write.merge_last(codes) if rows is None else write.reshape(codes, (rows, width))
    if count == width:
        return joined
    ends = [write.constant(np.array([each], np.int64), "shape") for each in (0, count, -1)]
    return write.node("Slice", [joined, *ends])


def zero_point(tensor: _Coded) -> int:
    """The code that means zero once signed codes are stored unsigned; 0 where they are stored as they are."""
    return 1 << (tensor.bits - 1) if tensor.codes.dtype == np.int8 else 0


def unsigned_codes(tensor: _Coded) -> Array:
    """The codes as uint8, signed ones moved up by `zero_point`."""
    moved: Array = tensor.codes.astype(np.uint8) + np.uint8(zero_point(tensor))  # wraps around
    return moved


def pack(codes: Array, bits: int) -> Array:
    """Codes `[rows, n]` as bytes `[rows, ceil(n bits / 8)]`; code i of byte j is column i * bytes + j."""
    per_byte = 8 // bits
    if isinstance(codes, Stub):
        shape = (len(codes), -(-codes.shape[1] // per_byte))
        return codes.mapped(("pack", bits), lambda rows: pack(rows, bits), shape)
    width = -(-codes.shape[1] // per_byte)
    padded = np.zeros((len(codes), width * per_byte), np.uint8)
    padded[:, : codes.shape[1]] = codes
    packed = np.zeros((len(codes), width), np.uint8)
    for place in range(per_byte):
        packed |= padded[:, place * width : (place + 1) * width] << (bits * place)
    return packed
