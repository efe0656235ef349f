"""Scaled palettes: one codebook of shapes for the tensor, one scale per row.

    value = codebook[code] * scale[row]

Rows of a table differ in length far more than in distribution, so numbers divided by their row's
scale share one small codebook well. NF4 (Dettmers et al., 2023, "QLoRA", arXiv 2305.14314) does
the same with a fixed codebook of the normal distribution; here it is fitted by Lloyd's algorithm,
and its entries are int8, which is what Core ML's joint palettization and scaling takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from pocketrec.quantize.feedback import Feedback, Nearest, feedback_of
from pocketrec.quantize.schemes.base import (
    ScaledRows,
    check_block,
    check_least,
    float16_scales,
    quantize_rows,
)
from pocketrec.quantize.schemes.lloyd import centres_of_numbers, nearest_number
from pocketrec.quantize.tensor import Array, Floats, ScaledPaletteTensor, rows_and_columns
from pocketrec.quantize.usage import UNKNOWN, Rounding, Usage

_TOP = 127  # the largest entry: an int8, so that a codebook of 16 entries is 16 bytes
_ROUNDS = 4
_SMALLEST = 2.0**-25  # half of the smallest float16: a scale below it is nearer to zero


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledPalette:
    """A codebook of int8 numbers, and a scale per row or per block of a row.

    Attributes:
        bits: of a code.
        block_size: columns that share a scale; the whole row where it is left out.
        rounding: to the `nearest` entry, with error `feedback` for the least change of the
            outputs, or `distilled`, which then tunes codes and levels together.
    """

    scheme: ClassVar[str] = "scaled_palette"
    bits: Literal[1, 2, 3, 4, 6] = 3
    block_size: int | None = None
    rounding: Rounding = "nearest"

    def __post_init__(self) -> None:
        check_least("scaled_palette: block_size", self.block_size, 1)

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Checks that blocks fill the rows of that shape; else PlanError."""
        columns = rows_and_columns(shape)[1]
        check_block(name, columns, self.block_size or columns)

    def fit(self, name: str, sample: Floats, *, usage: Usage = UNKNOWN) -> ScaledPaletteCodec:
        """The codebook of a sample of rows, found in turns with the scales."""
        blocked = _blocked(sample, self.block_size)
        weights = np.ones(len(sample)) if usage.popularity is None else usage.popularity
        weights = np.repeat(weights, len(blocked) // len(sample))
        full = np.abs(blocked).max(axis=1)
        scales = np.where(full > 0, full / _TOP, 1).astype(np.float32)
        book = np.zeros(1 << self.bits, np.int8)
        for _ in range(_ROUNDS):
            # An error in a row weighs as much as the row's scale is large.
            mass = np.repeat(weights * np.square(scales, dtype=np.float64), blocked.shape[1])
            centres = centres_of_numbers(blocked / scales[:, None], len(book), weights=mass)
            book = np.sort(np.clip(np.rint(centres), -_TOP, _TOP).astype(np.int8))
            scales = _least_squares(blocked, book, scales)
        feedback = feedback_of(name, self.rounding, usage)
        return ScaledPaletteCodec(scheme=self, name=name, codebook=book, feedback=feedback)

    def quantize(self, name: str, values: Floats, *, usage: Usage = UNKNOWN) -> ScaledPaletteTensor:
        """The tensor as codes, one codebook and scales; rows that are read often count for more."""
        return quantize_rows(self, name, values, usage)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledPaletteCodec:
    """Encodes rows with a fixed codebook, int8 `[2**bits]`."""

    scheme: ScaledPalette
    name: str
    codebook: Array
    feedback: Feedback | None = None

    def encode(self, rows: Floats) -> ScaledRows:
        """Codes, and the scales that fit them best; a row of zeros has the scale zero."""
        blocked = _blocked(rows, self.scheme.block_size)
        full = np.abs(blocked).max(axis=1)
        scales = np.where(full > 0, full / _TOP, 1).astype(np.float32)
        for _ in range(_ROUNDS):
            scales = _least_squares(blocked, self.codebook, scales)
        narrow = float16_scales(self.name, scales)
        narrow[full < _TOP * _SMALLEST] = 0
        wide = narrow.astype(np.float32)
        if self.feedback is None:
            codes = _nearest(blocked, self.codebook, wide)
        else:
            nearest = _column_nearest(self.codebook, wide.reshape(len(rows), -1), blocked.shape[1])
            codes = self.feedback.encode(rows, nearest)
        return ScaledRows(codes=codes.reshape(rows.shape), scales=narrow.reshape(len(rows), -1))

    def tensor(self, name: str, shape: tuple[int, ...], encoded: ScaledRows) -> ScaledPaletteTensor:
        """The tensor of that name and shape."""
        return ScaledPaletteTensor(
            name=name,
            shape=shape,
            bits=self.scheme.bits,
            granularity="per_row" if self.scheme.block_size is None else "per_block",
            block_size=self.scheme.block_size or rows_and_columns(shape)[1],
            codes=encoded.codes,
            scales=encoded.scales,
            codebooks=self.codebook[None, None, :, None],
        )


def _blocked(rows: Floats, block_size: int | None) -> Floats:
    return rows.reshape(-1, block_size or rows.shape[1])


def _nearest(blocked: Floats, book: Array, scales: Floats) -> Array:
    safe = np.where(scales == 0, np.float32(1), scales)
    return nearest_number((blocked / safe[:, None]).astype(np.float32), book.astype(np.float32))


def _column_nearest(book: Array, scales: Floats, block_size: int) -> Nearest:
    """As `_nearest`, a column at a time; scales are float32 `[rows, blocks]`."""

    def nearest(values: Floats, rows: slice, column: int) -> tuple[Array, Floats]:
        scale = scales[rows, column // block_size]
        codes = _nearest(values[:, None], book, scale)[:, 0]
        return codes, book.astype(np.float32)[codes] * scale

    return nearest


def _least_squares(blocked: Floats, book: Array, scales: Floats) -> Floats:
    """The scale of each block that fits the codes of the present one best, where it is better."""
    entries = book.astype(np.float32)[_nearest(blocked, book, scales)]
    power = np.square(entries).sum(axis=1)
    fitted = (entries * blocked).sum(axis=1) / np.where(power > 0, power, np.float32(1))
    usable = (power > 0) & (fitted > 0)
    better: Floats = np.where(usable, fitted, scales).astype(np.float32)
    return better
