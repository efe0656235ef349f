"""Rounds that belong to one unit, such as a user, and are therefore not independent."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]


def unit_sums(values: Doubles, units: Ids | None) -> Doubles:
    """The sum of each unit's values, `[units]`; the values themselves where every round is a unit."""
    if units is None:
        return values
    _, place = np.unique(units, return_inverse=True)
    sums: Doubles = np.bincount(place, weights=values)  # type: ignore[assignment]
    return sums


def by_unit(values: Doubles, units: Ids | None) -> Doubles:
    """One number a unit, whose mean is that of the values and whose spread is the mean's between units.

    The mean is a ratio, sum of values over sum of counts; a unit's number is the mean plus its residual
    sum(v) - count mean, scaled by units / values (the linearization of Deng, Knoblich & Lu, "Applying the
    delta method in metric analytics", 2018).
    """
    if units is None:
        return values
    sums, counts = unit_sums(values, units), unit_sums(np.ones(len(values)), units)
    mean = float(values.mean())
    return mean + (sums - counts * mean) * (len(sums) / len(values))


def standard_error(values: Doubles) -> float:
    """Of the mean of independent values; infinite for a single one."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("inf")
