"""What "the same numbers" means: one place for every comparison of an artifact with its reference.

Two engines add the same float32 numbers in another order, so their results differ by a share of the
numbers that were added, whatever these measure: scores near 1,000 differ by what scores near 1 cannot.
A tensor counts as the same where no element is off by more than `FLOAT32_SHARE` of the largest
|reference| of that tensor on that probe, and what cancellation leaves. Float16 and 8-bit arithmetic
round in every layer; there the noise is judged against the signal (`Gates.min_sqnr_db`). See
docs/adr/0009-equal.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.recipe import Gates
from pocketrec.report import TensorParity
from pocketrec.validate.runtimes.runtime import Array, is_coarse

Doubles = npt.NDArray[np.float64]

# Float32 has 24 bits; a thousand times its step is what long sums in another order come to.
FLOAT32_SHARE = 1e-4
# What sums of numbers near 1 leave where they cancel; of a tensor that is smaller yet, half of itself, so
# that zeros in its place are found down to numbers of 1e-6, which nothing tells from such noise.
CANCELLED, SMALLEST = 1e-5, 1e-6
# Eight steps of float16's 10-bit fraction: what a few layers of float16 may move a score by.
FLOAT16_TIE = 2.0**-7


def same_within(reference: Array) -> float:
    """The largest difference from a float tensor that counts as the same numbers."""
    values: Doubles = np.abs(reference[np.isfinite(reference)]).astype(np.float64)
    return float(_bounds(values.max(initial=0.0)))


def rows_same_within(largest: Doubles) -> Doubles:
    """The same for rows of one tensor, given the largest |reference| of each.

    A row of small numbers is not held to more than the mean row is: its numbers come from sums of the
    same size.
    """
    bounds: Doubles = _bounds(np.maximum(largest, largest.mean()))
    return bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """How far an output is from the reference's on one case.

    Attributes:
        error: the largest difference; infinite where one of both is no number.
        noise: mean square of the difference.
        size: the largest |reference|.
        signal: mean square of the reference.
    """

    error: float
    noise: float
    size: float
    signal: float


def distance(reference: Array, actual: Array) -> Distance:
    """How far two tensors of the same shape are from each other; the same infinity is no difference."""
    left, right = (np.asarray(each, np.float64).ravel() for each in (reference, actual))
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.where(left == right, 0.0, np.abs(left - right))
    error[~np.isfinite(error)] = np.inf
    finite = np.where(np.isfinite(left), left, 0.0)
    return Distance(
        error=float(error.max(initial=0.0)),
        noise=float(np.square(error).sum()) / max(error.size, 1),
        size=float(np.abs(finite).max(initial=0.0)),
        signal=float(np.square(finite).sum()) / max(finite.size, 1),
    )


def excesses(distances: Sequence[Distance], gates: Gates, precision: str) -> list[float]:
    """Of each case of one output, its difference as a multiple of what counts as the same numbers.

    A case of small numbers is not held to more than the median case is, as rows are not: its numbers come
    from sums of the same size.
    """
    size = float(np.median([each.size for each in distances]))
    signal = float(np.median([each.signal for each in distances]))
    if is_coarse(precision):
        share = 10 ** ((gates.min_sqnr_db or 0.0) / 20)
        pairs = [(each.noise, max(each.signal, signal)) for each in distances]
        return [share * float(np.sqrt(noise / most)) if most else _any(noise) for noise, most in pairs]
    stated = gates.max_abs_error
    within = [_bounds(max(each.size, size)) if stated is None else stated for each in distances]
    return [
        float(each.error / bound) if bound else _any(each.error)
        for each, bound in zip(distances, within, strict=True)
    ]


def _any(difference: float) -> float:
    """The multiple where nothing but equal numbers are the same."""
    return float("inf") if difference else 0.0


def _bounds(scale: Any) -> Any:
    """The bound of tensors whose largest numbers are `scale`."""
    return FLOAT32_SHARE * scale + np.clip(scale / 2, SMALLEST, CANCELLED)


def tie_tolerance(gates: Gates, precision: str) -> float:
    """How close two scores are that may swap places, relative to the largest of their list."""
    return max(gates.tie_tolerance, FLOAT16_TIE) if is_coarse(precision) else gates.tie_tolerance


def differs_by(result: TensorParity, gates: Gates, precision: str) -> str:
    """Why an output's numbers are others; empty where they are the same."""
    if result.failure:
        return result.failure
    if result.mismatches:
        return f"{result.mismatches} of {result.elements} ids differ"
    if not result.histogram:
        return ""  # ids, equal or among scores that are
    if is_coarse(precision):
        lowest = gates.min_sqnr_db or 0.0
        return "" if result.sqnr_db >= lowest else f"{result.sqnr_db:.1f} dB, expected {lowest:g}"
    if gates.max_abs_error is not None:
        within = result.max_abs_error <= gates.max_abs_error
        return "" if within else f"off by {result.max_abs_error:.3g}, allowed {gates.max_abs_error:g}"
    if result.excess <= 1:
        return ""
    return f"off by {result.max_abs_error:.3g}, {result.excess:.3g} times what counts as the same numbers"
