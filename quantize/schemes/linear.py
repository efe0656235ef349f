"""Linear quantization: evenly spaced levels per tensor, per row or per block of a row.

    value = (code - zero_point) * scale

Symmetric codes are signed and have no zero point; asymmetric codes are unsigned and their zero
point is itself a code, so that zero, and with it a padding row, stays exactly zero.

The clipping range is that of the values (`range`), or searched for the least squared error
(`search`): symmetric by a line search over one bound, asymmetric by the greedy search of Guan et
al. (2019), "Post-training 4-bit quantization on embedding tables", arXiv 1911.02079, which moves
whichever end costs less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from pocketrec.errors import PlanError
from pocketrec.quantize.feedback import Feedback, Nearest, feedback_of
from pocketrec.quantize.frozen import Frozen, Ranges
from pocketrec.quantize.schemes.base import (
    CHUNK_ROWS,
    Codec,
    Encoded,
    ScaledRows,
    check_block,
    check_least,
    float16_scales,
    join,
    quantize_rows,
    values_by_row,
)
from pocketrec.quantize.tensor import Array, Floats, LinearTensor, rows_and_columns
from pocketrec.quantize.usage import UNKNOWN, Rounding, Usage

# Guan et al. take 200 steps over the range and stop after a share of them; 4 bits gain nothing below half.
_STEPS = 48
_LEAST_SHARE = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """Evenly spaced levels.

    Attributes:
        bits: 4 or 8.
        granularity: what shares a scale: the tensor, a row, or a block of a row.
        block_size: columns in a block; for `per_block` only.
        symmetric: signed codes around zero; else unsigned codes with a zero point.
        clipping: `range` takes in every value; `search` clips for the least squared error.
        rounding: to the `nearest` level, with error `feedback` for the least change of the
            outputs, or `distilled`, which then tunes codes and levels together.
    """

    scheme: ClassVar[str] = "linear"
    bits: Literal[4, 8] = 8
    granularity: Literal["per_tensor", "per_row", "per_block"] = "per_row"
    block_size: int | None = None
    symmetric: bool = True
    clipping: Literal["range", "search"] = "range"
    rounding: Rounding = "nearest"

    def __post_init__(self) -> None:
        if (self.block_size is None) == (self.granularity == "per_block"):
            raise PlanError("linear: block_size goes with granularity='per_block', and only with it")
        check_least("linear: block_size", self.block_size, 1)

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Checks that blocks fill the rows of a tensor of that shape; else PlanError."""
        if self.block_size is None:
            return
        if len(shape) > 2:
            raise PlanError(f"{name}: blocks need one or two axes, it has {len(shape)}; use 'per_row'")
        check_block(name, rows_and_columns(shape)[1], self.block_size)

    def fit(self, name: str, sample: Floats, *, usage: Usage = UNKNOWN) -> Codec[Any, LinearTensor]:
        """A codec without anything learnt, save for the one scale of `per_tensor`."""
        feedback = feedback_of(name, self.rounding, usage)
        if self.granularity != "per_tensor":
            return LinearCodec(scheme=self, name=name, feedback=feedback, headroom=usage.headroom)
        needed = _ranges(self, sample.reshape(1, 1, -1))
        ranges = _stored(name, needed, usage.headroom)
        frozen = self._frozen(usage, sample.shape[1])
        if frozen is not None:
            ranges = frozen.instead_of(name, needed, ranges, 0)
        return WholeLinearCodec(scheme=self, name=name, ranges=ranges, feedback=feedback)

    def quantize(self, name: str, values: Floats, *, usage: Usage = UNKNOWN) -> LinearTensor:
        """The tensor with evenly spaced levels; popularity changes nothing."""
        if self.granularity == "per_tensor":  # its range is over all values, not over a sample
            rows = values_by_row(self, name, values)
            codec = self.fit(name, rows, usage=usage)
            return codec.tensor(name, values.shape, codec.encode(rows))
        frozen = self._frozen(usage, rows_and_columns(values.shape)[1])
        return (
            quantize_rows(self, name, values, usage)
            if frozen is None
            else self._kept(name, values, usage, frozen)
        )

    def _frozen(self, usage: Usage, columns: int) -> Frozen | None:
        """The frozen scales that levels of this kind can have."""
        frozen, block = usage.frozen, self.block_size or columns
        if frozen is None or not frozen.fits(self.bits, self.granularity, block, symmetric=self.symmetric):
            return None
        return frozen

    def _kept(self, name: str, values: Floats, usage: Usage, frozen: Frozen) -> LinearTensor:
        """The tensor with frozen scales for the rows that they still fit."""
        self.check(name, values.shape)
        rows = values_by_row(self, name, values)
        feedback = feedback_of(name, self.rounding, usage)
        codec = LinearCodec(scheme=self, name=name, feedback=feedback, headroom=usage.headroom)
        starts = range(0, len(rows), CHUNK_ROWS)
        parts = [codec.encode(rows[at : at + CHUNK_ROWS], frozen=frozen, start=at) for at in starts]
        return codec.tensor(name, values.shape, join(parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearCodec:
    """Encodes rows, each with scales and zero points of its own."""

    scheme: Linear
    name: str
    feedback: Feedback | None = None
    headroom: float = 0.0

    def encode(self, rows: Floats, *, frozen: Frozen | None = None, start: int = 0) -> ScaledRows:
        """The codes, scales and zero points of `rows`, of which `start` is the first in frozen scales."""
        blocked = rows.reshape(len(rows), -1, self.scheme.block_size or rows.shape[1])
        needed = _ranges(self.scheme, blocked)
        ranges = _stored(self.name, needed, self.headroom)
        if frozen is not None:
            ranges = frozen.instead_of(self.name, needed, ranges, start)
        scales, zero_points = ranges
        codes = _encoded(self.scheme, rows, scales, zero_points, self.feedback)
        return ScaledRows(codes=codes, scales=scales, zero_points=zero_points)

    def tensor(self, name: str, shape: tuple[int, ...], encoded: ScaledRows) -> LinearTensor:
        """The tensor of that name and shape."""
        return _tensor(self.scheme, name, shape, encoded.codes, encoded.scales, encoded.zero_points)


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeLinearCodec:
    """Encodes rows with the one scale and zero point of the tensor, which are as they are stored."""

    scheme: Linear
    name: str
    ranges: Ranges
    feedback: Feedback | None = None

    def encode(self, rows: Floats) -> Encoded:
        """The codes of `rows`."""
        return Encoded(codes=_encoded(self.scheme, rows, *self.ranges, self.feedback))

    def tensor(self, name: str, shape: tuple[int, ...], encoded: Encoded) -> LinearTensor:
        """The tensor of that name and shape."""
        return _tensor(self.scheme, name, shape, encoded.codes, *self.ranges)


def _tensor(
    scheme: Linear,
    name: str,
    shape: tuple[int, ...],
    codes: Array,
    scales: Array,
    zero_points: Array | None,
) -> LinearTensor:
    return LinearTensor(
        name=name,
        shape=shape,
        bits=scheme.bits,
        granularity=scheme.granularity,
        block_size=scheme.block_size or rows_and_columns(shape)[1],
        codes=codes,
        scales=scales,
        zero_points=zero_points,
    )


def _stored(name: str, ranges: Ranges, headroom: float) -> Ranges:
    """Scales with headroom as float16, and zero points as the uint8 codes that they are."""
    scales, zero_points = ranges
    if headroom:
        scales = scales * np.float32(1 + headroom)
    return float16_scales(name, scales), None if zero_points is None else zero_points.astype(np.uint8)


def _encoded(
    scheme: Linear, rows: Floats, scales: Array, zero_points: Array | None, feedback: Feedback | None
) -> Array:
    """Codes of `rows` as they are stored, for float16 scales and uint8 zero points."""
    zeros = None if zero_points is None else zero_points.astype(np.float32)
    blocked = rows.reshape(len(rows), -1, scheme.block_size or rows.shape[1])
    wide = scales.astype(np.float32)
    if feedback is None:
        codes = _codes(scheme, blocked, wide, zeros)
    else:
        codes = feedback.encode(rows, _nearest(scheme, blocked.shape[2], wide, zeros))
    return codes.astype(np.int8 if scheme.symmetric else np.uint8).reshape(rows.shape)


def _codes(scheme: Linear, blocked: Floats, scales: Floats, zero_points: Array | None) -> Floats:
    """The nearest codes, as float32 `[rows, blocks, block]`, for float32 scales `[rows, blocks]`."""
    half = 1 << (scheme.bits - 1)
    steps = blocked / np.where(scales == 0, np.float32(1), scales)[:, :, None]
    if zero_points is None:
        symmetric: Floats = np.clip(np.rint(steps), -half, half - 1)
        return symmetric
    shifted: Floats = np.clip(np.rint(steps) + zero_points[:, :, None], 0, 2 * half - 1)
    return shifted


def _nearest(scheme: Linear, block_size: int, scales: Floats, zero_points: Array | None) -> Nearest:
    """As `_codes`, a column at a time; a block whose scale is zero stays zero."""

    def nearest(values: Floats, rows: slice, column: int) -> tuple[Array, Floats]:
        block = column // block_size
        chosen = slice(None) if len(scales) == 1 else rows
        scale = scales[chosen, block, None]
        zeros = None if zero_points is None else zero_points[chosen, block, None]
        codes = _codes(scheme, values[:, None, None], scale, zeros)[:, 0, 0]
        shifted = codes if zeros is None else codes - zeros[:, 0]
        return codes, (shifted * scale[:, 0]).astype(np.float32)

    return nearest


def _ranges(scheme: Linear, blocked: Floats) -> Ranges:
    """Scales, float32 `[rows, blocks]`, and zero points or None."""
    low = np.minimum(blocked.min(axis=2), 0)
    high = np.maximum(blocked.max(axis=2), 0)
    if scheme.symmetric:
        bound = np.maximum(-low, high)
        if scheme.clipping == "search":
            bound = _search_symmetric(scheme, blocked, bound)
        return bound / np.float32((1 << (scheme.bits - 1)) - 1), None
    if scheme.clipping == "search":
        low, high = _search_greedy(scheme, blocked, low, high)
    return _affine(scheme, low, high)


def _affine(scheme: Linear, low: Floats, high: Floats) -> Ranges:
    top = np.float32((1 << scheme.bits) - 1)
    scales = (high - low) / top
    zero_points = np.clip(np.rint(-low / np.where(scales == 0, np.float32(1), scales)), 0, top)
    return scales, zero_points.astype(np.float32)


def _error(scheme: Linear, blocked: Floats, scales: Floats, zero_points: Array | None) -> Floats:
    """Squared error per block, float32 `[rows, blocks]`, with the scales as they will be stored."""
    stored = float16_scales("", np.minimum(scales, np.float32(65504))).astype(np.float32)
    codes = _codes(scheme, blocked, stored, zero_points)
    shifted = codes if zero_points is None else codes - zero_points[:, :, None]
    total: Floats = np.square(shifted * stored[:, :, None] - blocked).sum(axis=2)
    return total


def _search_symmetric(scheme: Linear, blocked: Floats, bound: Floats) -> Floats:
    """The bound of least error among evenly spaced shares of the largest magnitude.

    Among them are those at which the largest magnitude is itself a level, so that numbers which are
    levels already stay as they are.
    """
    top = np.float32((1 << (scheme.bits - 1)) - 1)
    largest_codes = (
        np.arange(top + 1, 0, -1, dtype=np.float32) if scheme.bits == 4 else np.zeros(0, np.float32)
    )
    levels = top / largest_codes
    best, least = bound, _error(scheme, blocked, bound / top, None)
    for share in (*np.linspace(1, _LEAST_SHARE, _STEPS, dtype=np.float32)[1:], *levels):
        candidate = bound * share
        error = _error(scheme, blocked, candidate / top, None)
        better = error < least
        best, least = np.where(better, candidate, best), np.where(better, error, least)
    return best


def _search_greedy(scheme: Linear, blocked: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Both ends of least error: each step moves the end whose move leaves the smaller error."""
    step = (high - low) * np.float32((1 - _LEAST_SHARE) / _STEPS)
    best_low, best_high = low, high
    least = _error(scheme, blocked, *_affine(scheme, low, high))
    for _ in range(_STEPS):
        raised, lowered = np.minimum(low + step, 0), np.maximum(high - step, 0)
        from_below = _error(scheme, blocked, *_affine(scheme, raised, high))
        from_above = _error(scheme, blocked, *_affine(scheme, low, lowered))
        below = from_below <= from_above
        low, high = np.where(below, raised, low), np.where(below, high, lowered)
        error = np.where(below, from_below, from_above)
        better = error < least
        best_low, best_high = np.where(better, low, best_low), np.where(better, high, best_high)
        least = np.where(better, error, least)
    return best_low, best_high
