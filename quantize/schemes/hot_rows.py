"""Hot rows wider than cold rows: what is read often is stored with more bits.

Reads of a catalogue follow a power law, so a few rows carry most of the quality; mixed dimension
embeddings (Ginart et al., 2019, arXiv 1909.11810) give them more columns, this gives them more
bits. `order` sends a row to its place: hot rows first, each part in id order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from pocketrec.errors import PlanError
from pocketrec.quantize.schemes.base import values_by_row
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.scaled_palette import ScaledPalette
from pocketrec.quantize.tensor import Array, Floats, PartsTensor, RowTensor
from pocketrec.quantize.usage import UNKNOWN, Rounding, Usage

Part = Linear | ScaledPalette


@dataclass(frozen=True, slots=True, kw_only=True)
class HotRows:
    """Two linear or scaled-palette parts.

    Attributes:
        share: of the rows that are hot, above 0 and below 1.
        hot_bits: 8 or 4, linear per row.
        cold_bits: 4, linear per row; 1, 2 or 3 as a scaled palette.
        rounding: of both parts.
    """

    scheme: ClassVar[str] = "hot_rows"
    share: float = 0.1
    hot_bits: Literal[4, 8] = 8
    cold_bits: Literal[1, 2, 3, 4] = 4
    rounding: Rounding = "nearest"

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise PlanError(f"hot_rows: share is {self.share}; expected above 0 and below 1")
        if self.cold_bits >= self.hot_bits:
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
        return _part(self.hot_bits, self.rounding), _part(self.cold_bits, self.rounding)

    def joined(
        self, name: str, shape: tuple[int, ...], hot: Array, parts: tuple[RowTensor, ...]
    ) -> PartsTensor:
        """The table whose hot and cold rows, each in id order, are two tensors."""
        order = np.empty(len(hot), np.int32)
        order[hot] = np.arange(hot.sum())
        order[~hot] = np.arange(hot.sum(), len(hot))
        return PartsTensor(
            name=name,
            shape=shape,
            parts=parts,
            order=order,
        )

    def quantize(self, name: str, values: Floats, *, usage: Usage = UNKNOWN) -> PartsTensor:
        """The table in two parts; PlanError where nobody knows what is hot."""
        self.check(name, values.shape)
        rows = values_by_row(self, name, values)
        hot = self.hot(name, len(rows), usage)
        parts = tuple(
            scheme.quantize(name, rows[chosen], usage=usage.of_rows(chosen))
            for scheme, chosen in zip(self.parts, (hot, ~hot), strict=True)
        )
        return self.joined(name, values.shape, hot, parts)


def _part(bits: Literal[1, 2, 3, 4, 8], rounding: Rounding) -> Part:
    if bits == 8:
        return Linear(bits=8, rounding=rounding)
    if bits == 4:
        return Linear(bits=4, clipping="search", rounding=rounding)
    return ScaledPalette(bits=bits, rounding=rounding)
