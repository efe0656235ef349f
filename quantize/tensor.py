"""The compressed forms of one tensor: what every target carries, and their one meaning in float32.

A form is a class with the fields that it has; `QuantizedTensor` is any of them.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from pocketrec.quantize.tiled import tiled

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Compressed(ABC):
    """What every form has: a name, a shape, its size and its meaning, on a `[rows, columns]` view.

    Rows are the first axis, columns all others together; a tensor of one axis is a single row. Every
    array is exact as it stands: scales are float16 numbers, codebooks are float16 or int8 numbers.

    Attributes:
        scheme: the registry name of the scheme that makes this form.
        name: the tensor's name in the module.
        shape: the tensor's own shape.
    """

    scheme: ClassVar[str]
    name: str
    shape: tuple[int, ...]

    @property
    def rows(self) -> int:
        """How many rows the two-dimensional view has."""
        return rows_and_columns(self.shape)[0]

    @property
    def columns(self) -> int:
        """How many columns the two-dimensional view has."""
        return rows_and_columns(self.shape)[1]

    @property
    @abstractmethod
    def size_bytes(self) -> int:
        """Bytes of everything that has to be stored, codes and zero points packed to their bits."""

    @property
    def bits_per_value(self) -> float:
        """Stored bits per number, scales, zero points, codebooks and masks included."""
        return 8 * self.size_bytes / max(1, math.prod(self.shape))

    def dequantize(self) -> Floats:
        """The numbers that the codes stand for, float32, in the tensor's own shape."""
        return self.dequantize_rows(0, self.rows).reshape(self.shape)

    @abstractmethod
    def dequantize_rows(self, start: int, stop: int) -> Floats:
        """Rows `start` to `stop` as float32 `[stop - start, columns]`; reads no other codes."""

    def sqnr_db(self, original: Floats) -> float:
        """Signal-to-quantization-noise ratio in dB against `original`; infinite where equal."""
        values = np.asarray(original, np.float32).reshape(self.rows, self.columns)
        signal = noise = 0.0
        for start in range(0, self.rows, _CHUNK_ROWS):
            part = values[start : start + _CHUNK_ROWS].astype(np.float64)
            signal += float(np.square(part).sum())
            noise += float(np.square(part - self.dequantize_rows(start, start + len(part))).sum())
        return ratio_db(signal, noise)

    @abstractmethod
    def describe(self) -> str:
        """The method for people, such as `linear 4 bit per_row, scales, zero points`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinearTensor(_Compressed):
    """Evenly spaced levels: `value = (code - zero_point) * scale`.

    Attributes:
        bits: of one code.
        granularity: what shares one scale.
        block_size: columns that share a scale.
        codes: `[rows, columns]`, whatever `bits`: int8 where symmetric, else uint8.
        scales: float16 `[rows or 1, blocks]`.
        zero_points: uint8 `[rows or 1, blocks]`; None where symmetric.
    """

    scheme = "linear"
    bits: int
    granularity: Literal["per_tensor", "per_row", "per_block"]
    block_size: int
    codes: Array
    scales: Array
    zero_points: Array | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes of codes, scales and zero points."""
        zeros = 0 if self.zero_points is None else self.zero_points.size
        packed = packed_bytes(self.codes.size, self.bits) + packed_bytes(zeros, self.bits)
        return packed + self.scales.nbytes

    def dequantize_rows(self, start: int, stop: int) -> Floats:
        """The rows' levels."""
        values = self.codes[start:stop].astype(np.float32)
        zeros = None if self.zero_points is None else _rows_of(self.zero_points, start, stop)
        return _scaled(values, _rows_of(self.scales, start, stop), zeros)

    def describe(self) -> str:
        """Bits, what shares a scale, and whether there are zero points."""
        extras = ("scales",) if self.zero_points is None else ("scales", "zero points")
        return _described(self, self.granularity, self.block_size, extras)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PaletteTensor(_Compressed):
    """Numbers of a codebook: `value = codebook[code]`.

    Attributes:
        bits: of one code.
        granularity: what shares one codebook.
        codes: uint8 `[rows, columns / width]`; `width` is 1 save for products.
        codebooks: float16 `[row groups, column groups, 2**bits, width]`.
    """

    scheme = "palette"
    bits: int
    granularity: Literal["per_tensor", "per_group"]
    codes: Array
    codebooks: Array

    @property
    def size_bytes(self) -> int:
        """Bytes of codes and codebooks."""
        return packed_bytes(self.codes.size, self.bits) + self.codebooks.nbytes

    def dequantize_rows(self, start: int, stop: int) -> Floats:
        """The entries at the rows' codes."""
        return _looked_up(self.codebooks, self.codes[start:stop], start, self.rows)

    def describe(self) -> str:
        """Bits, and what shares a codebook."""
        return _described(self, self.granularity, None, ("codebooks",))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProductTensor(PaletteTensor):
    """As a palette whose entries are vectors of `width` neighbouring columns, or coordinates.

    Attributes:
        basis: float16 `[coordinates, columns]`: a row is its coordinates, as the codes stand for them, times
            this. Rows of zeros belong to places that no coordinate fills. None where vectors are of columns.
    """

    scheme = "product"
    basis: Array | None = None

    @property
    def coordinates(self) -> ProductTensor:
        """What the codes stand for before the basis is applied, `[rows, coordinates]`."""
        width = self.codes.shape[1] * self.codebooks.shape[-1]
        return replace(self, shape=(self.rows, width), basis=None)

    @property
    def size_bytes(self) -> int:
        """Bytes of codes, codebooks and the basis."""
        held = 0 if self.basis is None else self.basis.nbytes
        return packed_bytes(self.codes.size, self.bits) + self.codebooks.nbytes + held

    def dequantize_rows(self, start: int, stop: int) -> Floats:
        """The entries at the rows' codes, times the basis where there is one."""
        found = _looked_up(self.codebooks, self.codes[start:stop], start, self.rows)
        return found if self.basis is None else tiled(found, self.basis.astype(np.float32))

    def describe(self) -> str:
        """Bits, what shares a codebook, and whether there is a basis."""
        extras = ("codebooks",) if self.basis is None else ("codebooks", "basis")
        return _described(self, self.granularity, None, extras)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScaledPaletteTensor(_Compressed):
    """One codebook and scales: `value = codebook[code] * scale`.

    Attributes:
        bits: of one code.
        granularity: what shares one scale.
        block_size: columns that share a scale.
        codes: uint8 `[rows, columns]`.
        scales: float16 `[rows, blocks]`.
        codebooks: int8 `[1, 1, 2**bits, 1]`.
    """

    scheme = "scaled_palette"
    bits: int
    granularity: Literal["per_row", "per_block"]
    block_size: int
    codes: Array
    scales: Array
    codebooks: Array

    @property
    def size_bytes(self) -> int:
        """Bytes of codes, scales and the codebook."""
        return packed_bytes(self.codes.size, self.bits) + self.scales.nbytes + self.codebooks.nbytes

    def dequantize_rows(self, start: int, stop: int) -> Floats:
        """The entries at the rows' codes, scaled."""
        values = _looked_up(self.codebooks, self.codes[start:stop], start, self.rows)
        return _scaled(values, _rows_of(self.scales, start, stop), None)

    def describe(self) -> str:
        """Bits, and what shares a scale."""
        return _described(self, self.granularity, self.block_size, ("scales", "codebooks"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Float16Tensor(_Compressed):
    """The numbers themselves, narrowed.

    Attributes:
        codes: float16 `[rows, columns]`.
    """

    scheme = "float16"
    bits: ClassVar[int] = 16
    codes: Array

    @property
    def size_bytes(self) -> int:
        """Two bytes a number."""
        return packed_bytes(self.codes.size, self.bits)

    def dequantize_rows(self, start: int, stop: int) -> Floats:
        """The rows, widened."""
        return self.codes[start:stop].astype(np.float32)

    def describe(self) -> str:
        """Its bits."""
        return _described(self, "per_element", None, ())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SparseTensor(_Compressed):
    """A mask and the kept numbers; all others are zero.

    Attributes:
        mask: bool `[rows, columns]`, true where a number is kept.
        kept: float16, one-dimensional, in the order of the mask.
    """

    scheme = "sparse"
    bits: ClassVar[int] = 16
    mask: Array
    kept: Array

    @property
    def size_bytes(self) -> int:
        """Two bytes a kept number, and a bit a number."""
        return packed_bytes(self.kept.size, self.bits) + packed_bytes(self.mask.size, 1)

    def dequantize_rows(self, start: int, stop: int) -> Floats:
        """The rows' kept numbers, with zeros between them."""
        before = int(np.count_nonzero(self.mask[:start]))
        chosen = self.mask[start:stop]
        dense = np.zeros(chosen.shape, np.float32)
        dense[chosen] = self.kept[before : before + int(np.count_nonzero(chosen))]
        return dense

    def describe(self) -> str:
        """Its bits, and that there is a mask."""
        return _described(self, "per_element", None, ("mask",))


# The forms with codes row by row: a table of any length can be streamed into them.
RowTensor = LinearTensor | PaletteTensor | ScaledPaletteTensor | Float16Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartsTensor(_Compressed):
    """A table's rows in two parts of different forms.

    Attributes:
        parts: the forms of the rows under the mask and of the others, each in the table's order.
        mask: bool `[rows]`, true where a row is of the first part. It is what is stored of the order: 4
            bytes a row would be half a bit a number of a table that is 64 wide.
    """

    scheme = "hot_rows"
    parts: tuple[RowTensor, RowTensor]
    mask: Array

    @property
    def order(self) -> Array:
        """Each row's place in the concatenated parts, int32 `[rows]`."""
        first = np.cumsum(self.mask, dtype=np.int32)
        second = np.cumsum(~self.mask, dtype=np.int32)
        places: Array = np.where(self.mask, first, second + self.parts[0].rows) - 1
        return places.astype(np.int32)

    @property
    def size_bytes(self) -> int:
        """Bytes of both parts and of the mask."""
        return sum(each.size_bytes for each in self.parts) + packed_bytes(self.rows, 1)

    def dequantize_rows(self, start: int, stop: int) -> Floats:
        """The rows, each from its part."""
        dense = np.empty((len(self.mask[start:stop]), self.columns), np.float32)
        for part, mask in zip(self.parts, (self.mask, ~self.mask), strict=True):
            before, inside = int(np.count_nonzero(mask[:start])), mask[start:stop]
            if inside.any():
                dense[inside] = part.dequantize_rows(before, before + int(np.count_nonzero(inside)))
        return dense

    def describe(self) -> str:
        """The rows and the method of every part."""
        parts = " + ".join(f"{each.rows} rows {each.describe()}" for each in self.parts)
        return f"{self.scheme}: {parts}"


QuantizedTensor = RowTensor | SparseTensor | PartsTensor


_CHUNK_ROWS = 1 << 14


def has_basis(tensor: QuantizedTensor) -> bool:
    """Whether rows of a tensor are stored as coordinates in a basis, all or some."""
    parts = tensor.parts if isinstance(tensor, PartsTensor) else (tensor,)
    return any(isinstance(each, ProductTensor) and each.basis is not None for each in parts)


def ratio_db(signal: float, noise: float) -> float:
    """The ratio of two sums of squares in dB; infinite where there is no noise."""
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


def rows_and_columns(shape: tuple[int, ...]) -> tuple[int, int]:
    """The two-dimensional view of a shape: first axis by all others; one axis is a single row."""
    if len(shape) < 2:
        return 1, math.prod(shape)
    return shape[0], math.prod(shape[1:])


def packed_bytes(count: int, bits: int) -> int:
    """Bytes of `count` codes of `bits` bits, packed without gaps."""
    return -(-count * bits // 8)


def _rows_of(array: Array, start: int, stop: int) -> Array:
    return array if len(array) == 1 else array[start:stop]


def _looked_up(books: Array, codes: Array, start: int, total: int) -> Floats:
    """The entries of `codebooks` at rows of codes that begin at row `start` of `total`."""
    row_groups, column_groups, _, width = books.shape
    rows = np.arange(start, start + len(codes)) // max(1, total // row_groups)
    columns = np.arange(codes.shape[1]) // max(1, codes.shape[1] // column_groups)
    found = books[rows[:, None], columns[None, :], codes]
    dense: Floats = found.astype(np.float32).reshape(len(codes), codes.shape[1] * width)
    return dense


def _scaled(values: Floats, scales: Array, zero_points: Array | None) -> Floats:
    """`(values - zero_points) * scales`, with one scale and zero point for each block of a row."""
    blocked = values.reshape(len(values), scales.shape[1], -1)
    if zero_points is not None:
        blocked = blocked - zero_points.astype(np.float32)[:, :, None]
    dense: Floats = (blocked * scales.astype(np.float32)[:, :, None]).reshape(values.shape)
    return dense


def _described(tensor: Any, granularity: str, block_size: int | None, extras: tuple[str, ...]) -> str:
    block = f" of {block_size}" if granularity == "per_block" else ""
    return ", ".join([f"{tensor.scheme} {tensor.bits} bit {granularity}{block}", *extras])
