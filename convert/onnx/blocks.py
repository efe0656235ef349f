"""Linear codes for ONNX Runtime's own ops, where measurement says that they are faster.

Lookups of less than `MANY` rows: GatherBlockQuantized. Products: MatMulNBits of 4 bits, from `LARGE`
rows on; below, and with 8 bits, a table that ONNX Runtime dequantizes when it loads is faster
(docs/adr/0005).
Both read one array: uint8, two 4-bit codes a byte, the even column in the lower half.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from pocketrec.convert.onnx.codes import unsigned_codes, zero_point
from pocketrec.convert.onnx.writer import OnnxWriter
from pocketrec.quantize.tensor import LinearTensor, QuantizedTensor

Array = npt.NDArray[Any]
LARGE = 32_768  # rows; between 1,683, where 4-bit products lose, and 100,000, where they win
MANY = 64  # rows of one lookup from which on ops that work on all of them at once are faster
_SMALLEST_BLOCK = 16
_FLOAT32 = 1  # accuracy_level: activations stay float32


def fits_blocks(tensor: QuantizedTensor) -> TypeGuard[LinearTensor]:
    """Whether ONNX Runtime's ops can read the tensor: symmetric, a table, blocks a power of two."""
    if not isinstance(tensor, LinearTensor) or tensor.zero_points is not None or len(tensor.shape) != 2:
        return False
    if tensor.granularity == "per_tensor" or (tensor.bits == 4 and tensor.columns % 2):
        return False
    size = block_size(tensor)
    return tensor.granularity == "per_row" or (size >= _SMALLEST_BLOCK and size & (size - 1) == 0)


def block_size(tensor: LinearTensor) -> int:
    """The block that the ops are told of; one for a whole row is the next power of two."""
    if tensor.granularity == "per_block":
        return tensor.block_size
    return max(_SMALLEST_BLOCK, 1 << (tensor.columns - 1).bit_length())


def multiplies(tensor: LinearTensor) -> bool:
    """Whether products with a tensor that `fits_blocks` read the codes themselves."""
    whole = tensor.columns % block_size(tensor) == 0
    return tensor.bits == 4 and tensor.rows >= LARGE and whole


class OnnxBlocks:
    """One tensor that `fits_blocks`, in one graph.

    Attributes:
        tensor: the compressed tensor.
    """

    def __init__(self, tensor: LinearTensor, writer: OnnxWriter) -> None:
        self.tensor, self._writer = tensor, writer

    def rows(self, ids: str) -> str:
        """The values of the rows `ids`, float32."""
        return self._writer.node(
            "GatherBlockQuantized",
            [self._codes(), ids, self._scales()],
            bits=self.tensor.bits,
            block_size=block_size(self.tensor),
            gather_axis=0,
            quantize_axis=1,
        )

    def product(self, left: str) -> str:
        """`left` times the transposed table."""
        tensor, write = self.tensor, self._writer
        size = block_size(tensor)
        codes = write.reshape(self._codes(), (tensor.rows, tensor.columns // size, size // 2))
        return write.node(
            "MatMulNBits",
            [left, codes, write.reshape(self._scales(), (-1,))],
            K=tensor.columns,
            N=tensor.rows,
            bits=tensor.bits,
            block_size=size,
            accuracy_level=_FLOAT32,
        )

    def whole(self) -> str:
        """All values, float32 `[rows, columns]`."""
        tensor, write = self.tensor, self._writer
        codes = self._codes()
        if tensor.bits == 4:
            wide = write.node("Unsqueeze", [codes, write.constant(np.array([-1], np.int64), "shape")])
            shifts = write.constant(np.array([0, 4], np.uint8))
            halves = write.node("BitShift", [wide, shifts], direction="RIGHT")
            low = write.node("BitwiseAnd", [halves, write.constant(np.uint8(15))])
            codes = write.reshape(low, (tensor.rows, tensor.columns))
        shifted = write.node("Sub", [write.cast(codes), write.constant(np.float32(zero_point(tensor)))])
        scales = self._scales()
        count = tensor.columns // tensor.block_size
        if count > 1:
            index = (np.arange(tensor.columns) // (tensor.columns // count)).astype(np.int64)
            scales = write.node("Gather", [scales, write.constant(index, "columns")], axis=1)
        return write.node("Mul", [shifted, scales])

    def _codes(self) -> str:
        codes = unsigned_codes(self.tensor)
        if self.tensor.bits == 4:
            codes = codes[:, 0::2] | (codes[:, 1::2] << 4)
        return self._writer.constant(codes, "codes")

    def _scales(self) -> str:
        return self._writer.numbers(self.tensor.scales, "scales")
