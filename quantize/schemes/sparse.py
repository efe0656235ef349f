"""Sparsity: the numbers of least magnitude become zero, the others are stored beside a mask.

Magnitude pruning as in Han et al. (2015), arXiv 1506.02626; kept numbers are float16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pocketrec.errors import PlanError
from pocketrec.quantize.schemes.base import float16_numbers, values_by_row
from pocketrec.quantize.tensor import Floats, SparseTensor
from pocketrec.quantize.usage import UNKNOWN, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparse:
    """A mask of one bit a number, and the kept numbers.

    Attributes:
        sparsity: share of the numbers that become zero, above 0 and below 1.
    """

    scheme: ClassVar[str] = "sparse"
    sparsity: float = 0.75

    def __post_init__(self) -> None:
        if not 0 < self.sparsity < 1:
            raise PlanError(f"sparse: sparsity is {self.sparsity}; expected above 0 and below 1")

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Accepts any shape: all can be pruned."""

    def quantize(self, name: str, values: Floats, *, usage: Usage = UNKNOWN) -> SparseTensor:
        """The tensor with the smallest magnitudes left out; of equal ones, the first are kept."""
        rows = values_by_row(self, name, values)
        weight = np.ones(len(rows)) if usage.popularity is None else np.sqrt(usage.popularity)
        kept = max(1, round(rows.size * (1 - self.sparsity)))
        order = np.argsort(-(np.abs(rows) * weight[:, None]).ravel(), kind="stable")[:kept]
        mask = np.zeros(rows.size, bool)
        mask[order] = True
        mask = mask.reshape(rows.shape) & (rows != 0)
        return SparseTensor(
            name=name,
            shape=values.shape,
            mask=mask,
            kept=float16_numbers(name, rows[mask]),
        )
