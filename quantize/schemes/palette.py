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
from pocketrec.quantize.schemes.base import (
    Encoded,
    check_group,
    float16_numbers,
    quantize_rows,
    values_by_row,
)
from pocketrec.quantize.schemes.lloyd import centres_of_numbers, nearest_number
from pocketrec.quantize.tensor import Array, Floats, QuantizedTensor, rows_and_columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """A codebook of numbers.

    Attributes:
        bits: of a code.
        groups: how many codebooks there are.
        axis: what is divided into groups, `rows` or `columns`.
    """

    scheme: ClassVar[str] = "palette"
    bits: Literal[1, 2, 3, 4, 6, 8] = 4
    groups: int = 1
    axis: Literal["rows", "columns"] = "columns"

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Nothing where the rows or columns of that shape divide into the groups; else PlanError."""
        rows, columns = rows_and_columns(shape)
        if self.groups > 1 and len(shape) > 2:
            raise PlanError(f"{name}: groups need one or two axes, it has {len(shape)}; use groups=1")
        check_group(name, rows if self.axis == "rows" else columns, self.groups, self.axis)

    def fit(self, name: str, sample: Floats, *, popularity: Array | None = None) -> PaletteCodec:
        """The codebooks of a sample of rows; groups of rows cannot be fitted from a sample."""
        if self.axis == "rows" and self.groups > 1:
            raise PlanError(f"{name}: groups of rows need the whole table at once; use axis='columns'")
        return PaletteCodec(scheme=self, name=name, codebooks=_codebooks(self, name, sample, popularity))

    def quantize(self, name: str, values: Floats, *, popularity: Array | None = None) -> QuantizedTensor:
        """The tensor as codes and codebooks; rows that are read often count for more."""
        if self.axis == "columns" or self.groups == 1:
            return quantize_rows(self, name, values, popularity)
        self.check(name, values.shape)
        rows = values_by_row(self, name, values)
        size = len(rows) // self.groups
        codes, books = [], []
        for start in range(0, len(rows), size):
            weights = None if popularity is None else popularity[start : start + size]
            single = Palette(bits=self.bits).fit(name, rows[start : start + size], popularity=weights)
            codes.append(single.encode(rows[start : start + size]).codes)
            books.append(single.codebooks)
        codec = PaletteCodec(scheme=self, name=name, codebooks=np.concatenate(books))
        return codec.tensor(name, values.shape, Encoded(codes=np.concatenate(codes)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PaletteCodec:
    """Encodes rows with fixed codebooks, float16 `[row groups, column groups, 2**bits, 1]`."""

    scheme: Palette
    name: str
    codebooks: Array

    def encode(self, rows: Floats) -> Encoded:
        """The places of the nearest entries; a row of zeros needs an entry that is zero."""
        books = self.codebooks[0, :, :, 0].astype(np.float32)
        width = rows.shape[1] // len(books)
        codes = np.empty(rows.shape, np.uint8)
        for group, book in enumerate(books):
            part = slice(group * width, (group + 1) * width)
            codes[:, part] = nearest_number(rows[:, part], book)
        if not (books == 0).any(axis=1).all() and not rows.any(axis=1).all():
            raise PlanError(
                f"{self.name}: a row of zeros has no exact code, as the sample held none; sample it"
            )
        return Encoded(codes=codes)

    def tensor(self, name: str, shape: tuple[int, ...], encoded: Encoded) -> QuantizedTensor:
        """The tensor of that name and shape."""
        return QuantizedTensor(
            name=name,
            scheme=self.scheme.scheme,
            shape=shape,
            bits=self.scheme.bits,
            granularity="per_tensor" if self.scheme.groups == 1 else "per_group",
            codes=encoded.codes,
            codebooks=self.codebooks,
        )


def _codebooks(scheme: Palette, name: str, sample: Floats, popularity: Array | None) -> Array:
    """float16 `[1, column groups, 2**bits, 1]`; entries rise, and one is zero where a row is."""
    groups = scheme.groups if scheme.axis == "columns" else 1
    pin_zero = not sample.any(axis=1).all()
    books = []
    for part in np.split(sample, groups, axis=1):
        weights = None if popularity is None else np.repeat(popularity, part.shape[1])
        centres = centres_of_numbers(part, 1 << scheme.bits, weights=weights, pin_zero=pin_zero)
        books.append(np.sort(float16_numbers(name, centres)))
    return np.stack(books)[None, :, :, None]
