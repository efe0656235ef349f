"""Two models' lists, interleaved for every evaluation user and clicked by a simulated one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from pocketrec.errors import DataError, UsageError
from pocketrec.validate.experiments.clicks import ClickModel
from pocketrec.validate.experiments.interleave import Interleave

Ids = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]

_POWER = NormalDist().inv_cdf(0.8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taste:
    """What attracts a simulated user.

    Attributes:
        relevant: the chance to click on the held-out item where it is looked at.
        other: the same of every other item; above 0, or whole lists are never clicked.
    """

    relevant: float = 0.9
    other: float = 0.05

    def __post_init__(self) -> None:
        for name, value in (("relevant", self.relevant), ("other", self.other)):
            if not 0 <= value <= 1:
                raise UsageError(f"{name} is {value}; expected a chance from 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """How the lists met.

    Attributes:
        users: who were shown a list.
        same: of them, those for whom both lists are equal.
        first: users whose clicks credit the first.
        second: the second.
        ties: neither, those without a click among them.
        preference: (first + ties / 2) / users - 0.5, above 0 for the first (Chapelle, Joachims, Radlinski &
            Yue,
            "Large-scale validation and analysis of interleaved search evaluation", 2012).
        credit: the mean of the users' credits, above 0 for the first; clicks at random make it 0.
        low: of the credit's normal interval.
        high: of the credit's normal interval.
        confidence: of the interval.
        p_value: of the two-sided z test that the credit is 0; 1 where every user's is.
        users_needed: so many that four of five such duels tell the two apart, were the credit what it seems
            here; None where it is 0.
    """

    users: int
    same: int
    first: int
    second: int
    ties: int
    preference: float
    credit: float
    low: float
    high: float
    confidence: float
    p_value: float
    users_needed: int | None


def duel(
    first: Ids,
    second: Ids,
    positives: Ids,
    *,
    interleave: Interleave,
    clicks: ClickModel,
    rng: np.random.Generator,
    taste: Taste | None = None,
    confidence: float = 0.95,
) -> Duel:
    """The duel of two models over users, each of whom sees one interleaved list.

    Args:
        first: item ids of each user's list, best first, -1 behind the last, `[users, k]`.
        second: likewise.
        positives: the item that each user is known to want, `[users]`.
        interleave: how two lists become one.
        clicks: how users click.
        rng: for both.
        taste: what attracts.
        confidence: of the interval.

    Raises:
        DataError: the arrays are not of the same users, or there are none.
    """
    if not (first.shape == second.shape and first.ndim == 2 and len(first) == len(positives) > 0):
        raise DataError(
            f"lists of shape {first.shape} and {second.shape} for {len(positives)} users; "
            "expected the same users and the same k, and a user"
        )
    taste = taste or Taste()
    earned = np.array(
        [
            _credit(a[a >= 0].tolist(), b[b >= 0].tolist(), int(wanted), interleave, clicks, rng, taste)
            for a, b, wanted in zip(first, second, positives, strict=True)
        ]
    )
    return _judged(earned, int((first == second).all(axis=1).sum()), confidence)


def _credit(
    a: Sequence[int],
    b: Sequence[int],
    wanted: int,
    interleave: Interleave,
    clicks: ClickModel,
    rng: np.random.Generator,
    taste: Taste,
) -> float:
    """What the user's clicks credit: above 0 the first list, below 0 the second."""
    length = min(len(a), len(b))
    if not length:
        return 0.0
    shown = interleave(a[:length], b[:length], length, rng)
    attraction = np.where(np.array(shown.items) == wanted, taste.relevant, taste.other)
    credit = float(np.array(shown.counts) @ clicks(attraction, rng))
    return float(np.round(credit, 12))  # 1/2 - 1/3 and its like leave rounding


def _judged(earned: Doubles, same: int, confidence: float) -> Duel:
    users, wins, losses = len(earned), int((earned > 0).sum()), int((earned < 0).sum())
    mean = float(earned.mean())
    error = float(earned.std(ddof=1) / np.sqrt(users)) if users > 1 else float("inf")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    return Duel(
        users=users,
        same=same,
        first=wins,
        second=losses,
        ties=users - wins - losses,
        preference=(wins - losses) / users / 2,
        credit=mean,
        low=mean - z * error,
        high=mean + z * error,
        confidence=confidence,
        p_value=2 * NormalDist().cdf(-abs(mean) / error) if error else float(mean == 0),
        users_needed=math.ceil(users * ((z + _POWER) * error / mean) ** 2) if mean and users > 1 else None,
    )
