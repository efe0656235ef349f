"""Hot rows wider than cold rows: what is listed or read often is stored with more bits.

Reads of a catalogue follow a power law, and lists more so: a few rows carry most of the quality. Mixed
dimension embeddings (Ginart et al., 2019, arXiv 1909.11810) give them more columns, this gives them more
bits. A bit says of every row whether it is hot; hot rows and cold rows are stored each in id order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from pocketrec.errors import PlanError
from pocketrec.quantize.schemes.base import values_by_row
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.product import BasisName, Product
from pocketrec.quantize.schemes.scaled_palette import ScaledPalette
from pocketrec.quantize.tensor import Array, Floats, PartsTensor, RowTensor
from pocketrec.quantize.usage import UNKNOWN, Rounding, Usage

Part = Linear | ScaledPalette | Product


@dataclass(frozen=True, slots=True, kw_only=True)
class HotRows:
    """Rows that count, linear per row, and all others with fewer bits.

    Attributes:
        share: of the rows that are hot, above 0 and below 1.
        hot_bits: 8 or 4.
        cold_bits: of a code of the others: of a number, 4 linear per row, 1 to 3 as a scaled palette; of
            `cold_width` numbers 4, 6 or 8, as product codes.
        cold_width: numbers that have one code.
        cold_basis: what those are of, neighbouring `columns` or `principal` components, as of product codes;
            the latter where `cold_width` is 2 or more.
        rounding: of both parts.
    """

    scheme: ClassVar[str] = "hot_rows"
    share: float = 0.1
    hot_bits: Literal[4, 8] = 8
    cold_bits: Literal[1, 2, 3, 4, 6, 8] = 4
    cold_width: int = 1
    cold_basis: BasisName = "columns"
    rounding: Rounding = "nearest"

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise PlanError(f"hot_rows: share is {self.share}; expected above 0 and below 1")
        if self.cold_width < 1:
            raise PlanError(f"hot_rows: cold_width is {self.cold_width}; expected 1 or more numbers a code")
        known = (1, 2, 3, 4) if self.cold_width == 1 else (4, 6, 8)
        if self.cold_bits not in known:
            raise PlanError(
                f"hot_rows: cold_bits is {self.cold_bits} with cold_width {self.cold_width}; expected "
                f"{', '.join(str(each) for each in known)}"
            )
        if self.cold_basis == "principal" and self.cold_width == 1:
            raise PlanError(
                "hot_rows: cold_basis 'principal' is for codes of several numbers, and cold_width is 1; "
                "raise cold_width, or use cold_basis = 'columns'"
            )
        if self.cold_bits >= self.hot_bits * self.cold_width:
            raise PlanError(
                f"hot_rows: cold_bits {self.cold_bits} is not below hot_bits {self.hot_bits}; lower cold_bits"
            )

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Checks that the shape is that of a table with a row in each part; else PlanError."""
        if len(shape) != 2 or not 0 < round(shape[0] * self.share) < shape[0]:
            raise PlanError(
                f"{name}: hot_rows needs a table with rows in both parts; {list(shape)} with share "
                f"{self.share} is none; use 'linear'"
            )
        cold = self.parts[1]
        cold.check(name, (shape[0] - round(shape[0] * self.share), shape[1]))

    def hot(self, name: str, rows: int, usage: Usage) -> Array:
        """Which rows are hot, bool `[rows]`; PlanError where nobody knows how often they are read."""
        if usage.popularity is None:
            raise PlanError(
                f"{name}: hot_rows needs to know how often rows are read; no id of the evaluation data has "
                f"{rows} values; use 'linear'"
            )
        hot = np.zeros(rows, bool)
        hot[np.argsort(-usage.popularity, kind="stable")[: round(rows * self.share)]] = True
        return hot

    @property
    def parts(self) -> tuple[Part, Part]:
        """The schemes of hot and of cold rows."""
        hot = _by_number(self.hot_bits, self.rounding)
        if self.cold_width == 1:
            return hot, _by_number(self.cold_bits, self.rounding)
        return hot, _by_vector(self.cold_bits, self.cold_width, self.cold_basis, self.rounding)

    def joined(
        self, name: str, shape: tuple[int, ...], hot: Array, parts: tuple[RowTensor, RowTensor]
    ) -> PartsTensor:
        """The table whose hot and cold rows, each in id order, are two tensors."""
        return PartsTensor(name=name, shape=shape, parts=parts, mask=hot)

    def quantize(self, name: str, values: Floats, *, usage: Usage = UNKNOWN) -> PartsTensor:
        """The table in two parts; PlanError where nobody knows what is hot."""
        self.check(name, values.shape)
        rows = values_by_row(self, name, values)
        hot = self.hot(name, len(rows), usage)
        first, second = self.parts
        parts = (
            first.quantize(name, rows[hot], usage=usage.of_rows(hot)),
            second.quantize(name, rows[~hot], usage=usage.of_rows(~hot)),
        )
        return self.joined(name, values.shape, hot, parts)


def _by_vector(bits: Any, width: int, basis: BasisName, rounding: Rounding) -> Part:
    return Product(bits=bits, width=width, basis=basis, rounding=rounding)


def _by_number(bits: Any, rounding: Rounding) -> Part:
    if bits == 8:
        return Linear(bits=8, rounding=rounding)
    if bits == 4:
        return Linear(bits=4, clipping="search", rounding=rounding)
    return ScaledPalette(bits=bits, rounding=rounding)
