"""Scales of an earlier release that a tensor keeps, so that its codes change where its numbers did.

A row whose numbers leave the range of its frozen scale by more than half a level would be clipped: it gets a
scale of its own, or is refused by name. One that needs less than half of the range is fitted anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pocketrec.errors import PlanError
from pocketrec.quantize.tensor import Array, Floats, LinearTensor

Outside = Literal["widen", "refuse"]
Ranges = tuple[Array, Array | None]  # scales `[rows, blocks]`, and zero points or None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frozen:
    """The scales of a tensor with evenly spaced levels.

    Attributes:
        bits: of a code.
        granularity: what shares a scale.
        block_size: columns that share a scale.
        scales: float16 `[rows or 1, blocks]`.
        zero_points: uint8, of the same shape; None where symmetric.
        outside: what becomes of a row whose numbers leave its range.
    """

    bits: int
    granularity: str
    block_size: int
    scales: Array
    zero_points: Array | None = None
    outside: Outside = "widen"

    @staticmethod
    def of(tensor: LinearTensor) -> Frozen:
        """Those of a tensor."""
        return Frozen(
            bits=tensor.bits,
            granularity=tensor.granularity,
            block_size=tensor.block_size,
            scales=tensor.scales,
            zero_points=tensor.zero_points,
        )

    def fits(self, bits: int, granularity: str, block_size: int, *, symmetric: bool) -> bool:
        """Whether levels of this kind can have these scales."""
        own = (self.bits, self.granularity, self.block_size, self.zero_points is None)
        return own == (bits, granularity, block_size, symmetric)

    def kept(self, tensor: LinearTensor) -> int:
        """How many of a tensor's rows have these scales; of `per_tensor`, 1 or 0."""
        same = self._first(tensor.scales, 0)
        return int(np.count_nonzero((tensor.scales[: len(same)] == same).all(axis=1)))

    def instead_of(self, name: str, needed: Ranges, stored: Ranges, start: int) -> Ranges:
        """What rows get: their frozen scales, or those that were fitted to them.

        Args:
            name: of the tensor, for messages.
            needed: float32, what the rows need.
            stored: what they get where they leave their range, as it is stored.
            start: which row is first.

        Raises:
            PlanError: a row leaves its range, and that is to be refused.
        """
        scales, zero_points = (None if each is None else each.copy() for each in stored)
        assert scales is not None
        count = len(self._first(scales, start))
        old = self.scales[start : start + count]
        zeros = None if self.zero_points is None else self.zero_points[start : start + count]
        now = _reach(self.bits, *(None if each is None else each[:count] for each in needed))
        was = _reach(self.bits, old, zeros)
        half = np.asarray(old, np.float32) / 2
        outside = (now[0] < was[0] - half) | (now[1] > was[1] + half)
        if self.outside == "refuse" and outside.any():
            raise self._refused(name, start, np.argwhere(outside)[0], now, was)
        keep = ~outside & ((now[1] - now[0]) * 2 >= was[1] - was[0])
        scales[:count][keep] = old[keep]
        if zero_points is not None and zeros is not None:
            zero_points[:count][keep] = zeros[keep]
        return scales, zero_points

    def _first(self, scales: Array, start: int) -> Array:
        """The frozen scales of as many of the rows as have some."""
        return (
            self.scales[start : start + len(scales)]
            if self.scales.shape[1:] == scales.shape[1:]
            else scales[:0]
        )

    def _refused(
        self, name: str, start: int, place: Array, now: tuple[Floats, Floats], was: tuple[Floats, Floats]
    ) -> PlanError:
        at = tuple(place.tolist())
        spans = [f"{float(low[at]):.4g} to {float(high[at]):.4g}" for low, high in (now, was)]
        return PlanError(
            f"{name}: row {start + at[0]} needs {spans[0]}, its frozen scale reaches {spans[1]}; set "
            "compress.out_of_range = 'widen', or leave compress.scales_from out for a release"
        )


def _reach(bits: int, scales: Array | None, zero_points: Array | None) -> tuple[Floats, Floats]:
    """The smallest and the largest number that codes stand for."""
    wide = np.asarray(scales, np.float32)
    if zero_points is None:
        top = np.float32((1 << (bits - 1)) - 1)
        return -wide * top, wide * top
    zeros = np.asarray(zero_points, np.float32)
    return -zeros * wide, (np.float32((1 << bits) - 1) - zeros) * wide
