"""Half precision: IEEE 754 binary16, round to nearest, ties to even."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pocketrec.quantize.schemes.base import Encoded, float16_numbers, quantize_rows
from pocketrec.quantize.tensor import Float16Tensor, Floats
from pocketrec.quantize.usage import UNKNOWN, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Float16:
    """Every number as float16, whatever the target's arithmetic is."""

    scheme: ClassVar[str] = "float16"

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Accepts any shape: all can be narrowed."""

    def fit(self, name: str, sample: Floats, *, usage: Usage = UNKNOWN) -> Float16Codec:
        """A codec without anything learnt."""
        return Float16Codec(name=name)

    def quantize(self, name: str, values: Floats, *, usage: Usage = UNKNOWN) -> Float16Tensor:
        """The tensor in float16; usage changes nothing."""
        return quantize_rows(self, name, values, usage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Float16Codec:
    """Narrows rows."""

    name: str

    def encode(self, rows: Floats) -> Encoded:
        """The rows as float16."""
        return Encoded(codes=float16_numbers(self.name, rows))

    def tensor(self, name: str, shape: tuple[int, ...], encoded: Encoded) -> Float16Tensor:
        """The tensor of that name and shape."""
        return Float16Tensor(name=name, shape=shape, codes=encoded.codes)
