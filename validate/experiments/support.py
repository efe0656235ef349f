"""Whether a log can say anything of a policy: weights, overlap, and the reason why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from pocketrec.errors import DataError, UsageError
from pocketrec.validate.experiments.units import Ids, by_unit, standard_error, unit_sums

Doubles = npt.NDArray[np.float64]
Reason = Literal[
    "no_overlap",
    "unsupported_actions",
    "few_effective_rounds",
    "weights_not_one",
    "few_effective_rewards",
    "no_spread",
]

_ROUNDING = 1e-9  # by which a mean of weights that do not vary may miss 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a log must have, so that an estimate from it is a number.

    Attributes:
        effective_rounds: at least so many rounds' worth of weights.
        effective_rewards: at least so many rounds' worth of weighted rewards other than 0; an interval from
            fewer is too narrow where rewards are rare.
        weight_errors: the weights' mean may miss 1 by so many of its standard errors.
        unsupported: the judged policy may give so much probability to actions that the log never draws.
    """

    effective_rounds: float = 100.0
    effective_rewards: float = 10.0
    weight_errors: float = 4.0
    unsupported: float = 0.0

    def __post_init__(self) -> None:
        for name, value, least in (
            ("effective_rounds", self.effective_rounds, 2),
            ("effective_rewards", self.effective_rewards, 1),
            ("weight_errors", self.weight_errors, 1),
        ):
            if not least <= value < np.inf:
                raise UsageError(f"{name} is {value}; expected {least} or more: below, no log is refused")
        if not 0 <= self.unsupported < 1:
            raise UsageError(f"unsupported is {self.unsupported}; expected a share from 0 to below 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """How well a log covers a policy; of several columns of weights those of the worst.

    Attributes:
        rounds: in the log.
        effective_rounds: (sum of w)² / sum of w² (Kish, 1965); of units' sums where units are known.
        effective_rewards: the same of w |r|.
        mean_weight: 1 but for chance where the log covers the policy and its propensities are right.
        mean_weight_error: its standard error.
        max_weight: the largest.
        max_share: the largest weight's share of their sum.
        zero_share: of the rounds, those with an action that the judged policy never takes.
        clipped_share: of the rounds, those whose weight is above the clip.
        clipped_mass: what of the weights' sum the clip removes.
        unsupported: the judged policy's mean probability of actions that the log never draws; None where it
            is not known, and only `mean_weight` can show it.
    """

    rounds: int
    effective_rounds: float
    effective_rewards: float
    mean_weight: float
    mean_weight_error: float
    max_weight: float
    max_share: float
    zero_share: float
    clipped_share: float
    clipped_mass: float
    unsupported: float | None


def effective(weights: Doubles) -> float:
    """How many equal weights would give as much: (sum of w)² / sum of w²; 0 where all are 0."""
    largest = float(weights.max(initial=0.0))
    if largest == 0:
        return 0.0
    scaled = weights / largest  # squares neither overflow nor vanish
    return float(scaled.sum() ** 2 / np.square(scaled).sum())


def measure_support(
    weights: Doubles,
    rewards: Doubles,
    *,
    units: Ids | None = None,
    clip: float = np.inf,
    unsupported: Doubles | None = None,
) -> Support:
    """How well the log covers the policy, from weights before they are clipped.

    Args:
        weights: `[rounds]`, or `[rounds, columns]` where an estimator uses several a round.
        rewards: of the same shape as the weights, or `[rounds]`.
        units: who each round belongs to; a unit then counts as one.
        clip: where the estimator clips.
        unsupported: as in `Log`.

    Raises:
        DataError: a weight is beyond what a double holds.
    """
    columns = weights.reshape(len(weights), -1)
    if not np.isfinite(columns).all():
        row = int(np.argmin(np.isfinite(columns).all(axis=1)))
        raise DataError(f"row {row}: its weights multiply to more than a number holds; cut the lists")
    earned = np.broadcast_to(np.abs(rewards).reshape(len(rewards), -1), columns.shape)
    sums = [unit_sums(column, units) for column in columns.T]
    worst = int(np.argmin([effective(each) for each in sums]))
    w, total = columns[:, worst], float(columns[:, worst].sum())
    means = columns.mean(0)
    errors = np.array([standard_error(by_unit(column, units)) for column in columns.T])
    far = int(np.argmax(_misses(means, errors)))
    return Support(
        rounds=len(weights),
        effective_rounds=effective(sums[worst]),
        effective_rewards=effective(unit_sums((columns * earned).sum(1), units)),
        mean_weight=float(means[far]),
        mean_weight_error=float(errors[far]),
        max_weight=float(columns.max()),
        max_share=float(w.max()) / total if total else 0.0,
        zero_share=float((w == 0).mean()),
        clipped_share=float((columns > clip).any(axis=1).mean()),
        clipped_mass=float(np.maximum(w - clip, 0).sum()) / total if total else 0.0,
        unsupported=None if unsupported is None else float(unsupported.mean()),
    )


def _misses(means: Doubles, errors: Doubles) -> Doubles:
    """By how many standard errors each mean misses 1."""
    away = np.maximum(np.abs(means - 1) - _ROUNDING, 0.0)
    ratios = np.where(away > 0, np.inf, 0.0)
    np.divide(away, errors, out=ratios, where=errors > 0)
    return ratios


def refusal(support: Support, limits: Limits) -> tuple[Reason, str] | None:
    """Why the log can say nothing of the policy, by name and in a sentence; None where it can."""
    n, rounds = support.rounds, support.effective_rounds
    if support.max_weight == 0:
        return "no_overlap", f"the judged policy takes none of the {n} logged actions; log a policy that does"
    if support.unsupported is not None and support.unsupported > limits.unsupported:
        return (
            "unsupported_actions",
            f"{support.unsupported:.2%} of the judged policy's actions are never drawn by the logged one; "
            f"expected at most {limits.unsupported:.2%}: give every action that it takes a propensity",
        )
    if rounds < limits.effective_rounds:
        return (
            "few_effective_rounds",
            f"{n} rounds weigh as much as {rounds:.1f}; expected {limits.effective_rounds:g} or more: log "
            "more rounds, or a policy that is closer to the judged one",
        )
    misses = _misses(np.array([support.mean_weight]), np.array([support.mean_weight_error]))[0]
    if misses > limits.weight_errors:
        return (
            "weights_not_one",
            f"the weights' mean is {support.mean_weight:.4f} ± {support.mean_weight_error:.4f}; expected 1 "
            f"within {limits.weight_errors:g} standard errors: wrong propensities, or actions not covered",
        )
    if support.effective_rewards < limits.effective_rewards:
        return (
            "few_effective_rewards",
            f"rewards other than 0 weigh as much as {support.effective_rewards:.1f} rounds; expected "
            f"{limits.effective_rewards:g} or more: log more rounds",
        )
    return None
