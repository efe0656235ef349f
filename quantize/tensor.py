"""The compressed form of one tensor: what every target carries, and its one meaning in float32."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Granularity = Literal["per_tensor", "per_row", "per_block", "per_group", "per_element"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuantizedTensor:
    """Codes and what turns them back into numbers, on a `[rows, columns]` view of the tensor.

        value = (lookup(codes) - zero_points) * scales

    with each step left out where its array is None. Rows are the first axis, columns all others
    together; a tensor of one axis is a single row. Every array is exact as it stands: scales are
    float16 numbers, codebooks are float16 or int8 numbers.

    Attributes:
        name: the tensor's name in the module.
        scheme: the registry name of the scheme that made it.
        shape: the tensor's own shape.
        bits: of one code.
        granularity: what shares one scale or one codebook.
        block_size: columns that share a scale; None where there is no scale.
        codes: `[rows, columns]`; int8 or uint8, whatever `bits`; `[rows, columns / width]` where a
            codebook holds vectors of `width`; float16 where the scheme only narrows; the values
            under `mask`, one-dimensional, where there is one.
        scales: float16 `[rows or 1, blocks]`.
        zero_points: of the codes' dtype, `[rows or 1, blocks]`.
        codebooks: `[row groups, column groups, 2**bits, width]`.
        mask: bool `[rows, columns]`, true where a value is kept; all others are zero.
        parts: the tensor's rows in pieces, in place of codes; `order` says where each row is.
        order: int32 `[rows]`, row to its place in the concatenated parts.
    """

    name: str
    scheme: str
    shape: tuple[int, ...]
    bits: int
    granularity: Granularity
    block_size: int | None = None
    codes: Array | None = None
    scales: Array | None = None
    zero_points: Array | None = None
    codebooks: Array | None = None
    mask: Array | None = None
    parts: tuple[QuantizedTensor, ...] = ()
    order: Array | None = None

    @property
    def rows(self) -> int:
        """How many rows the two-dimensional view has."""
        return rows_and_columns(self.shape)[0]

    @property
    def columns(self) -> int:
        """How many columns the two-dimensional view has."""
        return rows_and_columns(self.shape)[1]

    @property
    def size_bytes(self) -> int:
        """Bytes of everything that has to be stored, codes and zero points packed to `bits`."""
        if self.parts:
            return sum(each.size_bytes for each in self.parts) + index_bytes(self.rows)
        assert self.codes is not None
        total = packed_bytes(self.codes.size, self.bits)
        if self.zero_points is not None:
            total += packed_bytes(self.zero_points.size, self.bits)
        for each in (self.scales, self.codebooks):
            total += 0 if each is None else each.nbytes
        return total + (0 if self.mask is None else packed_bytes(self.mask.size, 1))

    @property
    def bits_per_value(self) -> float:
        """Stored bits per number, scales, zero points, codebooks and masks included."""
        return 8 * self.size_bytes / max(1, math.prod(self.shape))

    def dequantize(self) -> Floats:
        """The numbers that the codes stand for, float32, in the tensor's own shape."""
        return self.dequantize_rows(0, self.rows).reshape(self.shape)

    def dequantize_rows(self, start: int, stop: int) -> Floats:
        """Rows `start` to `stop` as float32 `[stop - start, columns]`; reads no other codes."""
        if self.order is not None:
            return _from_parts(self.parts, self.order[start:stop], self.columns)
        assert self.codes is not None
        if self.mask is not None:
            return _from_mask(self.codes, self.mask, start, stop)
        values = _looked_up(self, self.codes[start:stop], start)
        if self.scales is None:
            return values
        scales = _rows_of(self.scales, start, stop).astype(np.float32)
        blocked = values.reshape(len(values), scales.shape[1], -1)
        if self.zero_points is not None:
            blocked = blocked - _rows_of(self.zero_points, start, stop).astype(np.float32)[:, :, None]
        dense: Floats = (blocked * scales[:, :, None]).reshape(values.shape)
        return dense

    def sqnr_db(self, original: Floats) -> float:
        """Signal-to-quantization-noise ratio in dB against `original`; infinite where equal."""
        values = np.asarray(original, np.float32).reshape(self.rows, self.columns)
        signal = noise = 0.0
        for start in range(0, self.rows, _CHUNK_ROWS):
            part = values[start : start + _CHUNK_ROWS].astype(np.float64)
            signal += float(np.square(part).sum())
            noise += float(np.square(part - self.dequantize_rows(start, start + len(part))).sum())
        return ratio_db(signal, noise)

    def describe(self) -> str:
        """The method for people, such as `linear 4 bit per_row, scales, zero points`."""
        if self.parts:
            return f"{self.scheme}: " + " + ".join(
                f"{each.rows} rows {each.describe()}" for each in self.parts
            )
        present = {
            "scales": self.scales,
            "zero points": self.zero_points,
            "codebooks": self.codebooks,
            "mask": self.mask,
        }
        extras = [name for name, each in present.items() if each is not None]
        block = f" of {self.block_size}" if self.granularity == "per_block" else ""
        return ", ".join([f"{self.scheme} {self.bits} bit {self.granularity}{block}", *extras])


_CHUNK_ROWS = 1 << 14


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


def index_bytes(rows: int) -> int:
    """Bytes of the order of `rows` rows; int32, as every target gathers with it."""
    return 4 * rows


def _rows_of(array: Array, start: int, stop: int) -> Array:
    return array if len(array) == 1 else array[start:stop]


def _looked_up(tensor: QuantizedTensor, codes: Array, start: int) -> Floats:
    """Rows of numbers for rows of codes that begin at row `start`; not yet shifted and scaled."""
    books = tensor.codebooks
    if books is None:
        return codes.astype(np.float32)
    row_groups, column_groups, _, width = books.shape
    rows = np.arange(start, start + len(codes)) // max(1, tensor.rows // row_groups)
    columns = np.arange(codes.shape[1]) // max(1, codes.shape[1] // column_groups)
    found = books[rows[:, None], columns[None, :], codes]
    dense: Floats = found.astype(np.float32).reshape(len(codes), codes.shape[1] * width)
    return dense


def _from_mask(codes: Array, mask: Array, start: int, stop: int) -> Floats:
    before = int(np.count_nonzero(mask[:start]))
    chosen = mask[start:stop]
    dense = np.zeros(chosen.shape, np.float32)
    dense[chosen] = codes[before : before + int(np.count_nonzero(chosen))]
    return dense


def _from_parts(parts: tuple[QuantizedTensor, ...], places: Array, columns: int) -> Floats:
    dense = np.empty((len(places), columns), np.float32)
    first = 0
    for part in parts:
        inside = (places >= first) & (places < first + part.rows)
        if inside.any():
            dense[inside] = part.dequantize_rows(0, part.rows)[places[inside] - first]
        first += part.rows
    return dense
