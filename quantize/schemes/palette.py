"""Palettes: every number becomes the nearest of 2^bits entries of a codebook (k-means).

    value = codebook[group][code]

Weight sharing as in Han, Mao and Dally (2016), "Deep compression", arXiv 1510.00149; the
codebook by Lloyd's algorithm. A codebook serves the whole tensor, or a group of rows or columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from pocketrec.errors import PlanError
from pocketrec.quantize.feedback import Feedback, Nearest, feedback_of
from pocketrec.quantize.schemes.base import (
    Encoded,
    check_group,
    check_least,
    float16_numbers,
    quantize_rows,
    values_by_row,
)
from pocketrec.quantize.schemes.lloyd import centres_of_numbers, nearest_number
from pocketrec.quantize.tensor import Array, Floats, PaletteTensor, rows_and_columns
from pocketrec.quantize.usage import UNKNOWN, Rounding, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """A codebook of numbers.

    Attributes:
        bits: of a code.
        groups: how many codebooks there are.
        axis: what is divided into groups, `rows` or `columns`.
        rounding: to the `nearest` entry, with error `feedback` for the least change of the
            outputs, or `distilled`, which then tunes codes and levels together.
    """

    scheme: ClassVar[str] = "palette"
    bits: Literal[1, 2, 3, 4, 6, 8] = 4
    groups: int = 1
    axis: Literal["rows", "columns"] = "columns"
    rounding: Rounding = "nearest"

    def __post_init__(self) -> None:
        check_least("palette: groups", self.groups, 1)

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Checks that the rows or columns of that shape divide into the groups; else PlanError."""
        rows, columns = rows_and_columns(shape)
        if self.groups > 1 and len(shape) > 2:
            raise PlanError(f"{name}: groups need one or two axes, it has {len(shape)}; use groups=1")
        check_group(name, rows if self.axis == "rows" else columns, self.groups, self.axis)

    def fit(self, name: str, sample: Floats, *, usage: Usage = UNKNOWN) -> PaletteCodec:
        """The codebooks of a sample of rows; groups of rows cannot be fitted from a sample."""
        if self.axis == "rows" and self.groups > 1:
            raise PlanError(f"{name}: groups of rows need the whole table at once; use axis='columns'")
        books = _codebooks(self, name, sample, usage)
        feedback = feedback_of(name, self.rounding, usage)
        return PaletteCodec(scheme=self, name=name, codebooks=books, feedback=feedback)

    def quantize(self, name: str, values: Floats, *, usage: Usage = UNKNOWN) -> PaletteTensor:
        """The tensor as codes and codebooks; rows that are read often count for more."""
        if self.axis == "columns" or self.groups == 1:
            return quantize_rows(self, name, values, usage)
        self.check(name, values.shape)
        rows = values_by_row(self, name, values)
        size = len(rows) // self.groups
        codes, books = [], []
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            single = Palette(bits=self.bits, rounding=self.rounding).fit(
                name, rows[part], usage=usage.of_rows(part)
            )
            codes.append(single.encode(rows[part]).codes)
            books.append(single.codebooks)
        codec = PaletteCodec(scheme=self, name=name, codebooks=np.concatenate(books))
        return codec.tensor(name, values.shape, Encoded(codes=np.concatenate(codes)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PaletteCodec:
    """Encodes rows with fixed codebooks, float16 `[row groups, column groups, 2**bits, 1]`."""

    scheme: Palette
    name: str
    codebooks: Array
    feedback: Feedback | None = None

    def encode(self, rows: Floats) -> Encoded:
        """The places of the nearest entries; a row of zeros needs an entry that is zero."""
        books = self.codebooks[0, :, :, 0].astype(np.float32)
        width = rows.shape[1] // len(books)
        codes = np.empty(rows.shape, np.uint8)
        if self.feedback is not None:
            codes = self.feedback.encode(rows, _nearest(books, width))
        else:
            for group, book in enumerate(books):
                part = slice(group * width, (group + 1) * width)
                codes[:, part] = nearest_number(rows[:, part], book)
        if not (books == 0).any(axis=1).all() and not rows.any(axis=1).all():
            raise PlanError(
                f"{self.name}: a row of zeros has no exact code, as the sample held none; sample it"
            )
        return Encoded(codes=codes)

    def tensor(self, name: str, shape: tuple[int, ...], encoded: Encoded) -> PaletteTensor:
        """The tensor of that name and shape."""
        return PaletteTensor(
            name=name,
            shape=shape,
            bits=self.scheme.bits,
            granularity="per_tensor" if self.scheme.groups == 1 else "per_group",
            codes=encoded.codes,
            codebooks=self.codebooks,
        )


def _nearest(books: Floats, width: int) -> Nearest:
    """The nearest entry of a column's codebook, `[column groups, 2**bits]`."""

    def nearest(values: Floats, rows: slice, column: int) -> tuple[Array, Floats]:
        book = books[column // width]
        codes = nearest_number(values, book)
        return codes, book[codes]

    return nearest


def _codebooks(scheme: Palette, name: str, sample: Floats, usage: Usage) -> Array:
    """float16 `[1, column groups, 2**bits, 1]`; entries rise, and one is zero where a row is."""
    groups = scheme.groups if scheme.axis == "columns" else 1
    pin_zero = not sample.any(axis=1).all()
    books = []
    for part in np.split(sample, groups, axis=1):
        reads = usage.popularity
        weights = None if reads is None else np.repeat(reads, part.shape[1])
        centres = centres_of_numbers(part, 1 << scheme.bits, weights=weights, pin_zero=pin_zero)
        books.append(np.sort(float16_numbers(name, centres)))
    return np.stack(books)[None, :, :, None]
