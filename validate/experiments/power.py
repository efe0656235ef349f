"""How many units an experiment needs, how long they take to come, and what it can tell by then."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol

from pocketrec.errors import UsageError

_NORMAL = NormalDist()
_MOST_TREATMENTS = 100
_LEAST_ALPHA = 1e-9
_MOST_RATIO = 1000.0
_MOST_UNITS = 1e15  # of a plan; more than there are people
_MOST_DAYS = 36_500
_HALVINGS = 200  # of an interval, until its ends are neighbouring numbers


class Measure(Protocol):
    """What an experiment measures."""

    def noise(self, effect: float, ratio: float) -> tuple[float, float]:
        """Of the difference, times the root of the control's units: its deviation without and with the
        effect.
        """
        ...

    def largest(self) -> float:
        """The largest effect there can be."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportions:
    """The share of the units that do something, such as click.

    Attributes:
        baseline: of the control.
    """

    baseline: float

    def __post_init__(self) -> None:
        if not 0 < self.baseline < 1:
            raise UsageError(f"the baseline is {self.baseline}; expected a share, such as 0.05")

    def noise(self, effect: float, ratio: float) -> tuple[float, float]:
        """Pooled without the effect, each variant's own with it."""
        p, q = self.baseline, self.baseline + effect
        if not 0 <= q <= 1:
            raise UsageError(f"an effect of {effect:g} makes {p:g} to {q:g}; expected a share from 0 to 1")
        mean = (p + ratio * q) / (1 + ratio)
        pooled = mean * (1 - mean) * (1 + 1 / ratio)
        return math.sqrt(pooled), math.sqrt(p * (1 - p) + q * (1 - q) / ratio)

    def largest(self) -> float:
        """Up to 1."""
        return 1 - self.baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """A number a unit, such as minutes or clicks a week.

    Attributes:
        deviation: its standard deviation between units, the same in each variant.
    """

    deviation: float

    def __post_init__(self) -> None:
        if not 0 < self.deviation < math.inf:
            raise UsageError(f"the standard deviation is {self.deviation}; expected a number above 0")

    def noise(self, effect: float, ratio: float) -> tuple[float, float]:
        """The same with and without the effect."""
        both = self.deviation * math.sqrt(1 + 1 / ratio)
        return both, both

    def largest(self) -> float:
        """As large as numbers are, for any number of units."""
        return self.deviation * 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What is asked of an experiment.

    Attributes:
        alpha: how often a variant without effect may be found to have one, of all comparisons together.
        power: how often one with the effect is to be found.
        treatments: variants beside the control; each is compared with it, at alpha / treatments (Bonferroni).
        ratio: units of each treatment for one of the control.
    """

    alpha: float = 0.05
    power: float = 0.8
    treatments: int = 1
    ratio: float = 1.0

    def __post_init__(self) -> None:
        for name, value in (("alpha", self.alpha), ("power", self.power)):
            if not 0 < value < 1:
                raise UsageError(f"{name} is {value}; expected a share between 0 and 1")
        if self.power <= self.alpha:
            raise UsageError(f"power is {self.power}; expected more than alpha, {self.alpha}")
        if not 1 <= self.treatments <= _MOST_TREATMENTS:
            raise UsageError(
                f"{self.treatments} treatments; expected 1 to {_MOST_TREATMENTS} beside the control"
            )
        if self.alpha < _LEAST_ALPHA:
            raise UsageError(f"alpha is {self.alpha}; expected {_LEAST_ALPHA:g} or more")
        if not 1 / _MOST_RATIO <= self.ratio <= _MOST_RATIO:
            raise UsageError(f"ratio is {self.ratio}; expected {1 / _MOST_RATIO:g} to {_MOST_RATIO:g}")

    def quantiles(self) -> tuple[float, float]:
        """Of the normal distribution: of a two-sided test at alpha, and of the power."""
        return _NORMAL.inv_cdf(1 - self.alpha / self.treatments / 2), _NORMAL.inv_cdf(self.power)

    def total(self, control: int) -> int:
        """Units of all variants, from the control's."""
        return control + self.treatments * math.ceil(self.ratio * control)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long an experiment runs.

    Attributes:
        effect: the smallest that is to be found, absolute.
        control: units of the control.
        treatment: units of each treatment.
        total: units in all.
        days: until they have come; None where the units a day are not known.
        weeks: the whole weeks that hold those days, so that each weekday counts alike.
    """

    effect: float
    control: int
    treatment: int
    total: int
    days: int | None
    weeks: int | None


def units_needed(measure: Measure, effect: float, design: Design) -> float:
    """Units of the control, a real number, so that a z test finds the effect with the power asked for.

    n = (z(1 - alpha/2) s0 + z(power) s1)² / effect², with s0 and s1 the difference's deviation without and
    with the effect, times the root of n (Fleiss, Levin & Paik, "Statistical methods for rates and
    proportions", 2003, chapter 4, without the continuity correction). The other tail is left out, which
    counts below one in 10,000 for a power of 0.5 and more.

    Raises:
        UsageError: the effect is 0, or not within the measure's range.
    """
    if not (effect != 0 and math.isfinite(effect)):
        raise UsageError(f"the effect is {effect}; expected the smallest that is to be found, other than 0")
    z_alpha, z_power = design.quantiles()
    without, with_effect = measure.noise(effect, design.ratio)
    root = abs((z_alpha * without + z_power * with_effect) / effect)
    return root * root  # which is infinite where ** would raise


def plan(measure: Measure, effect: float, design: Design, *, daily_units: float | None = None) -> Plan:
    """How many units find the effect and, where units a day are given, how long they take to come.

    Args:
        measure: what is measured.
        effect: the smallest that is to be found, absolute; of either sign.
        design: what is asked.
        daily_units: new units a day, of all variants together.

    Raises:
        UsageError: as of `units_needed`, or the units a day are none.
    """
    if daily_units is not None and not 0 < daily_units < math.inf:
        raise UsageError(f"{daily_units} units a day; expected a number above 0")
    needed = units_needed(measure, effect, design)
    if not needed < _MOST_UNITS:
        raise UsageError(f"the effect is {effect:g}, and needs {needed:.3g} units; expected a larger one")
    control = max(2, math.ceil(needed))
    total = design.total(control)
    if daily_units is not None and not total / daily_units < _MOST_DAYS:
        raise UsageError(
            f"{total} units at {daily_units:g} a day take a hundred years; look for a larger effect"
        )
    days = None if daily_units is None else math.ceil(total / daily_units)
    return Plan(
        effect=effect,
        control=control,
        treatment=math.ceil(design.ratio * control),
        total=total,
        days=days,
        weeks=None if days is None else math.ceil(days / 7),
    )


def detectable(measure: Measure, design: Design, *, total: float) -> float | None:
    """The smallest rise that so many units in all find with the power asked for; None where no rise is found.

    Args:
        measure: what is measured.
        design: what is asked.
        total: units of all variants together.

    Raises:
        UsageError: there are no units.
    """
    if not 0 < total < math.inf:
        raise UsageError(f"{total} units; expected a number above 0")
    control = total / (1 + design.treatments * design.ratio)
    low, high = 0.0, measure.largest()
    if units_needed(measure, high, design) > control:
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if units_needed(measure, middle, design) > control else (low, middle)
    return high
