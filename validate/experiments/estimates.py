"""An estimate with its interval, or the named reason why there is none, and a gate for either."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from pocketrec.errors import GateFailed, UsageError
from pocketrec.validate.experiments.propensity import Doubles, Ids, Log, dr, ips, snips, switch_dr
from pocketrec.validate.experiments.slates import (
    independent_ips,
    pseudoinverse,
    reward_interaction_ips,
    standard_ips,
)
from pocketrec.validate.experiments.support import Limits, Reason, Support, measure_support, refusal
from pocketrec.validate.experiments.units import by_unit, standard_error
from pocketrec.validate.measure.bootstrap import bootstrap

MOST_CONFIDENT = 0.999999  # of intervals; beyond it a quantile of the normal distribution is not a number


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What the judged policy would have earned a round, and how much more than the logged one.

    Attributes:
        estimator: its name.
        value: the estimate.
        standard_error: of it.
        low: of its interval.
        high: of its interval.
        lift: the estimate less what the log earned, of the same rounds.
        lift_low: of the lift's interval, which pairs the two.
        lift_high: of the lift's interval.
        confidence: of both intervals.
        interval: how they are made, a key of `INTERVALS`.
        support: how well the log covers the policy.
    """

    estimator: str
    value: float
    standard_error: float
    low: float
    high: float
    lift: float
    lift_low: float
    lift_high: float
    confidence: float
    interval: str
    support: Support


@dataclass(frozen=True, slots=True, kw_only=True)
class NoEstimate:
    """What stands in an estimate's place where the log has no support for one; it holds no number to accept.

    Attributes:
        estimator: its name.
        reason: by name.
        message: in a sentence, with the next step.
        support: how well the log covers the policy.
    """

    estimator: str
    reason: Reason
    message: str
    support: Support


def normal_interval(values: Doubles, confidence: float) -> tuple[float, float]:
    """The mean and, on both sides, z standard errors: the normal approximation of the mean's distribution."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    mean, error = float(values.mean()), standard_error(values)
    return mean - z * error, mean + z * error


def bootstrap_interval(values: Doubles, confidence: float) -> tuple[float, float]:
    """Low and high of the mean by a bias-corrected and accelerated bootstrap of fixed seed.

    Weighted rewards are skewed, so that normal intervals miss the truth on one side; these lean with them.
    """
    (found,) = bootstrap(values, confidences=(confidence,)).intervals
    return found.low, found.high


INTERVALS: Mapping[str, Callable[[Doubles, float], tuple[float, float]]] = {
    "bootstrap": bootstrap_interval,
    "normal": normal_interval,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How estimates are made.

    Attributes:
        clip: of IPS; infinity clips nothing.
        threshold: of SWITCH-DR.
        confidence: of the intervals.
        interval: how they are made, a key of `INTERVALS`.
        limits: what support a log must have.
    """

    clip: float = np.inf
    threshold: float = 10.0
    confidence: float = 0.95
    interval: str = "bootstrap"
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not 0 < self.confidence <= MOST_CONFIDENT:
            raise UsageError(f"confidence is {self.confidence}; expected a share, such as 0.95")
        if self.interval not in INTERVALS:
            raise UsageError(f"interval is {self.interval!r}; expected one of {', '.join(INTERVALS)}")
        for name, value in (("clip", self.clip), ("threshold", self.threshold)):
            if not value > 0:
                raise UsageError(f"{name} is {value}; expected a weight above 0")


def estimate(
    name: str,
    values: Doubles,
    earned: Doubles,
    support: Support,
    *,
    units: Ids | None = None,
    asked: Asked | None = None,
) -> Estimate | NoEstimate:
    """The mean of an estimator's values with intervals, or why there is none.

    Args:
        name: of the estimator.
        values: its number for each round.
        earned: what each round of the log earned.
        support: of the log.
        units: who each round belongs to; None: all are independent.
        asked: how it is made.
    """
    asked = asked or Asked()
    lacking = refusal(support, asked.limits)
    single, lifts = by_unit(values, units), by_unit(values - earned, units)
    if lacking is None and (len(single) < 2 or not single.std() > 0):
        lacking = (
            "no_spread",
            f"the values of all {len(single)} units are equal; an interval needs some that differ",
        )
    if lacking is not None:
        return NoEstimate(estimator=name, reason=lacking[0], message=lacking[1], support=support)
    interval = INTERVALS[asked.interval]
    low, high = interval(single, asked.confidence)
    lift_low, lift_high = interval(lifts, asked.confidence)
    return Estimate(
        estimator=name,
        value=float(single.mean()),
        standard_error=standard_error(single),
        low=low,
        high=high,
        lift=float(lifts.mean()),
        lift_low=lift_low,
        lift_high=lift_high,
        confidence=asked.confidence,
        interval=asked.interval,
        support=support,
    )


def estimate_log(log: Log, asked: Asked | None = None) -> tuple[Estimate | NoEstimate, ...]:
    """IPS and SNIPS and, where the log holds a model's predictions, DR and SWITCH-DR.

    Args:
        log: of rounds.
        asked: how they are made.
    """
    asked = asked or Asked()
    rewards, weights = log.rewards, log.weights()
    values = {"ips": ips(rewards, weights, clip=asked.clip), "snips": snips(rewards, weights)}
    clips = {"ips": asked.clip, "switch-dr": asked.threshold}
    if log.predicted is not None and log.expected is not None:
        model = log.predicted, log.expected
        values["dr"] = dr(rewards, weights, *model)
        values["switch-dr"] = switch_dr(rewards, weights, *model, threshold=asked.threshold)
    found = []
    for name, each in values.items():
        clip = clips.get(name, np.inf)
        support = measure_support(weights, rewards, units=log.units, clip=clip, unsupported=log.unsupported)
        found.append(estimate(name, each, rewards, support, units=log.units, asked=asked))
    return tuple(found)


def estimate_slates(
    rewards: Doubles,
    *,
    conditional: Doubles | None = None,
    marginal: Doubles | None = None,
    units: Ids | None = None,
    unsupported: Doubles | None = None,
    asked: Asked | None = None,
) -> tuple[Estimate | NoEstimate, ...]:
    """What a list earns, by every slate estimator whose weights are given.

    Args:
        rewards: `[lists, positions]`.
        conditional: weights for the standard estimator and reward interaction, `[lists, positions]`.
        marginal: weights for the independent one and the pseudoinverse, `[lists, positions]`.
        units: who each list belongs to.
        unsupported: the judged policy's chance of lists that the log's never draws, `[lists]`.
        asked: how they are made.

    Raises:
        UsageError: neither weights are given.
    """
    if conditional is None and marginal is None:
        raise UsageError("no weights; expected conditional or marginal ones, or both")
    earned = rewards.sum(1)

    def support(weights: Doubles, each: Doubles) -> Support:
        return measure_support(weights, each, units=units, unsupported=unsupported)

    found: dict[str, tuple[Doubles, Support]] = {}
    if conditional is not None:
        with np.errstate(over="ignore"):  # what is beyond a double is told by `measure_support`
            running: Doubles = np.cumprod(conditional, axis=1, dtype=np.float64)
        whole, down_to = support(running[:, -1], earned), support(running, rewards)
        found["slate-ips"] = standard_ips(rewards, conditional), whole
        found["rips"] = reward_interaction_ips(rewards, conditional), down_to
    if marginal is not None:
        found["iips"] = independent_ips(rewards, marginal), support(marginal, rewards)
        found["pi"] = pseudoinverse(rewards, marginal), support(marginal, earned)
    return tuple(
        estimate(name, values, earned, covered, units=units, asked=asked)
        for name, (values, covered) in found.items()
    )


def require_lift(found: Estimate | NoEstimate, at_least: float) -> Estimate:
    """The estimate, where its lift's whole interval is at or above `at_least`.

    Raises:
        GateFailed: there is no estimate, or its interval reaches below.
        UsageError: `at_least` is no number.
    """
    if not math.isfinite(at_least):
        raise UsageError(f"the least lift is {at_least}; expected a number, such as 0")
    if isinstance(found, NoEstimate):
        raise GateFailed(f"{found.estimator}: no estimate, {found.reason}: {found.message}")
    if not found.lift_low >= at_least:
        raise GateFailed(
            f"{found.estimator}: the lift is {found.lift:.6g} ({found.lift_low:.6g} to {found.lift_high:.6g} "
            f"at {found.confidence:.0%}); expected its interval at or above {at_least:.6g}; log more rounds, "
            "or keep the logged policy"
        )
    return found
