"""Estimators of what a policy would have earned, from the log of another that drew with known probabilities.

    round   context x, action a drawn with p(a|x), reward r      weight w = t(a|x) / p(a|x), t: the policy
    judged

Every estimator gives one number a round; their mean is the estimate, and their spread its standard error,
so that one interval serves them all (`estimates.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pocketrec.errors import DataError

Doubles = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]


# What each array may hold: chances so small never come, and rewards so large leave no room for squares.
_CHANCE, _DRAWN, _REWARD = (0.0, 1.0), (1e-12, 1.0), (-1e100, 1e100)
LIMITS = {
    "rewards": _REWARD,
    "predicted": _REWARD,
    "expected": _REWARD,
    "propensities": _DRAWN,
    "targets": _CHANCE,
    "unsupported": _CHANCE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Rounds of a logged policy, and what the policy to judge would have done in them.

    Attributes:
        rewards: what each round earned, `[rounds]`.
        propensities: the probability with which the action was drawn, above 0, `[rounds]`.
        targets: the probability that the judged policy gives the same action, `[rounds]`.
        predicted: a model's reward of the action that was taken, `[rounds]`; None where there is no model.
        expected: the model's mean reward of the judged policy, sum over a of t(a|x) q(x, a), `[rounds]`;
            likewise.
        units: who each round belongs to, `[rounds]`; rounds of one unit are not independent. None: all are.
        unsupported: the judged policy's probability of actions that the log's never draws, `[rounds]`;
            None where it is not known.
    """

    rewards: Doubles
    propensities: Doubles
    targets: Doubles
    predicted: Doubles | None = None
    expected: Doubles | None = None
    units: Ids | None = None
    unsupported: Doubles | None = None

    def __post_init__(self) -> None:
        if self.rewards.ndim != 1 or not len(self.rewards):
            raise DataError(f"rewards: shape {self.rewards.shape}; expected one number a round, and a round")
        if (self.predicted is None) != (self.expected is None):
            given, missing = (
                ("expected", "predicted") if self.predicted is None else ("predicted", "expected")
            )
            raise DataError(f"{given} without {missing}; the doubly robust estimators need both, or neither")
        for name, limits in LIMITS.items():
            check_numbers(name, getattr(self, name), self.rewards.shape, limits)
        if self.units is not None and self.units.shape != self.rewards.shape:
            raise DataError(f"units: shape {self.units.shape}; expected {self.rewards.shape}, as the rewards")

    def weights(self) -> Doubles:
        """The importance weight of every round, t / p."""
        return self.targets / self.propensities


def check_numbers(
    name: str, values: Doubles | None, shape: tuple[int, ...], limits: tuple[float, float]
) -> None:
    """Checks that an array has that shape and numbers within the limits; DataError names array, row, number.

    Args:
        name: of the array, for the message.
        values: None is fine.
        shape: what it must have.
        limits: the least number and the largest.
    """
    if values is None:
        return
    if values.shape != shape:
        raise DataError(f"{name}: shape {values.shape}; expected {shape}, as the rewards have")
    fits = (values >= limits[0]) & (values <= limits[1])
    if not fits.all():
        place = tuple(int(each) for each in np.argwhere(~fits)[0])
        where = f"row {place[0]}" + "".join(f", position {each}" for each in place[1:])
        expected = f"{limits[0]:g} to {limits[1]:g}"
        raise DataError(f"{name}: {where} is {values[place]}; expected {expected}; correct the log")


def ips(rewards: Doubles, weights: Doubles, *, clip: float = np.inf) -> Doubles:
    """Inverse propensity scores, a number a round: min(w, clip) r.

    Unbiased without clipping where p > 0 wherever t > 0 (Horvitz & Thompson, 1952; Precup, Sutton & Singh,
    2000). A clip lowers the variance and biases towards 0 for rewards of one sign (Bottou et al., 2013).

    Args:
        rewards: `[rounds]`.
        weights: `[rounds]`.
        clip: the largest weight that counts in full.
    """
    return np.minimum(weights, clip) * rewards


def snips(rewards: Doubles, weights: Doubles) -> Doubles:
    """Self-normalized scores, a number a round: v + w (r - v) / mean(w), with v = sum(w r) / sum(w).

    Their mean is v exactly, and their spread that of the ratio's linearization (the delta method), in which
    the weights' own noise counts. Biased by O(1 / rounds), within the range of the rewards, and not moved by
    a constant factor of the propensities (Swaminathan & Joachims, "The self-normalized estimator for
    counterfactual learning", 2015). All weights 0 gives NaN.
    """
    mean = weights.mean()
    if mean == 0:
        return np.full(len(rewards), np.nan)
    value = float((weights * rewards).mean() / mean)
    return value + weights * (rewards - value) / float(mean)


def dr(rewards: Doubles, weights: Doubles, predicted: Doubles, expected: Doubles) -> Doubles:
    """Doubly robust scores, a number a round: sum over a of t(a|x) q(x, a), plus w (r - q(x, a)).

    Unbiased where either the propensities or the model q are right (Dudík, Langford & Li, "Doubly robust
    policy evaluation and learning", 2011), if q was not fitted to these very rounds.

    Args:
        rewards: `[rounds]`.
        weights: `[rounds]`.
        predicted: q of the action that was taken, `[rounds]`.
        expected: the mean of q under the judged policy, `[rounds]`.
    """
    return expected + weights * (rewards - predicted)


def switch_dr(
    rewards: Doubles, weights: Doubles, predicted: Doubles, expected: Doubles, *, threshold: float
) -> Doubles:
    """SWITCH-DR, a number a round: as `dr`, but rounds whose weight exceeds the threshold keep the model's
    mean.

    Wang, Agarwal & Dudík, "Optimal and adaptive off-policy evaluation in contextual bandits", 2017: the
    section on SWITCH-DR. A threshold of infinity is DR, one below every weight the model alone.
    """
    return expected + np.where(weights <= threshold, weights, 0.0) * (rewards - predicted)
