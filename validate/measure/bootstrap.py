"""Bootstrap intervals of a mean, such as that of paired differences, for a million examples in seconds.

    examples ─▶ groups of values ─▶ how often each group is drawn, resample by resample ─▶ means ─▶ interval

What is resampled are examples: users of a ranking, rows or users of labels. How many of a resample fall
into each group of values is multinomial, and that is all that has to be drawn where a group is one value:
differences of NDCG@10 take at most 121. More than `GROUPS` values are cut into so many groups by size. The
sum of those drawn from a group is then taken as normal with the group's own mean and variance, so mean and
variance of the resampled means are exact; what is not is the shape of what a group adds, which is narrow:
the values at both ends, which need not be, are groups of their own.

Resamples come in blocks, each with a stream of a counter-based generator, so they are the same whoever draws
which. Sources: Efron, Better bootstrap confidence intervals, JASA 1987 (BCa); Efron and Tibshirani, An
introduction to the bootstrap, 1993, chapter 14; Salmon et al., Parallel random numbers: as easy as 1, 2, 3,
SC 2011 (Philox).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from pocketrec.errors import UsageError
from pocketrec.report import Interval
from pocketrec.workers import Workers

Doubles = npt.NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 10_000
GROUPS = 1024
_ENDS = 128  # values at each end that are groups of their own
_BLOCK = 250  # resamples drawn at a time: 2 MB of counts
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampled:
    """The mean of some examples, and what it could have been of others.

    Attributes:
        mean: of the examples.
        deviation: standard deviation of their values; 0 for one example.
        examples: how many.
        intervals: of the mean, one per confidence that was asked for; of no width where all values are equal.
        method: `bca`, or `percentile` where a correction is not defined, as all values or means are equal.
    """

    mean: float
    deviation: float
    examples: int
    intervals: tuple[Interval, ...]
    method: str


def bootstrap(
    values: Doubles,
    *,
    confidences: Sequence[float] = (CONFIDENCE,),
    resamples: int = RESAMPLES,
    seed: int = 0,
    workers: Workers | None = None,
) -> Resampled:
    """The mean of the values with bias-corrected and accelerated intervals.

    Args:
        values: one per example, `[examples]`, such as the difference of a metric between two models.
        confidences: how often such an interval holds the mean of all that the examples stand for.
        resamples: how many.
        seed: of what is drawn.
        workers: who draws; the result is the same, bit for bit, for any number of them.

    Raises:
        UsageError: there is no value, or one is not finite.
    """
    if not len(values) or not np.isfinite(values).all():
        raise UsageError(f"{len(values)} values with NaN or infinity among them have no interval")
    groups = group(values)
    mean = float(values.mean())
    drawn = resampled_means(groups, resamples=resamples, seed=seed, workers=workers)
    bias = _bias(drawn, float((groups.counts[None] * groups.centres).sum(axis=1)[0] / len(values)))
    accelerated = bias is not None and float(np.ptp(values)) > 0
    lean = _acceleration(values - mean) if accelerated else 0.0
    spread = np.sort(drawn)
    return Resampled(
        mean=mean,
        deviation=float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        examples=len(values),
        intervals=tuple(_interval(spread, mean, each, bias or 0.0, lean) for each in confidences),
        method="bca" if accelerated else "percentile",
    )


def examples_needed(
    deviation: float, loss: float, limit: float, confidence: float = CONFIDENCE
) -> int | None:
    """How many examples would exclude a loss of more than the limit; None where no number would.

    By the normal interval of a mean: n ≥ (z · deviation / (limit - loss))².

    Args:
        deviation: standard deviation of the values per example.
        loss: how far the mean is on the side of the limit, taken to stay as it is; below 0 for a gain.
        limit: of the loss.
        confidence: of the two-sided interval.
    """
    room = limit - loss
    if not room > 0 or not math.isfinite(deviation):
        return None
    return math.ceil((_NORMAL.inv_cdf((1 + confidence) / 2) * deviation / room) ** 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Values that are drawn together: their mean less that of all, their variance, their number."""

    centres: Doubles
    variances: Doubles
    counts: npt.NDArray[np.int64]


def group(values: Doubles) -> Groups:
    """The values as at most `GROUPS` groups, each of one value where there are no more values than that."""
    middle = values.mean()
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) <= GROUPS:
        return Groups(centres=distinct - middle, variances=np.zeros(len(distinct)), counts=counts)
    ordered = np.sort(values) - middle
    inner = np.linspace(_ENDS, len(ordered) - _ENDS, GROUPS - 2 * _ENDS + 1).astype(np.int64)
    starts = np.r_[np.arange(_ENDS), inner, np.arange(len(ordered) - _ENDS + 1, len(ordered))]
    sizes = np.diff(np.r_[starts, len(ordered)])
    centres = np.add.reduceat(ordered, starts) / sizes
    off = ordered - np.repeat(centres, sizes)
    return Groups(centres=centres, variances=np.add.reduceat(off**2, starts) / sizes, counts=sizes)


def resampled_means(groups: Groups, *, resamples: int, seed: int, workers: Workers | None = None) -> Doubles:
    """The mean of each resample less that of all values, `[resamples]`."""
    job = _Draw(groups=groups, seed=seed, resamples=resamples)
    blocks = range(-(-resamples // _BLOCK))
    return np.concatenate(list((workers or Workers()).map(job, blocks)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draw:
    """Draws a block of resamples; it can be sent to another process."""

    groups: Groups
    seed: int
    resamples: int

    def __call__(self, block: int) -> Doubles:
        # The block's number is the highest word of the counter, so that streams never meet.
        rng = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, 0, 0, block]))
        size = min(_BLOCK, self.resamples - block * _BLOCK)
        total = int(self.groups.counts.sum())
        counts = rng.multinomial(total, self.groups.counts / total, size=size)
        sums = (counts * self.groups.centres).sum(axis=1)  # not by BLAS, whose sums follow its threads
        if self.groups.variances.any():
            noise = np.sqrt((counts * self.groups.variances).sum(axis=1))
            sums = sums + noise * rng.standard_normal(size)
        means: Doubles = sums / total
        return means


def _bias(drawn: Doubles, estimate: float) -> float | None:
    """BCa's z0: how far the estimate is from the median of the resamples; None where it is outside of all."""
    share = ((drawn < estimate).mean() + (drawn <= estimate).mean()) / 2
    return _NORMAL.inv_cdf(float(share)) if 0 < share < 1 else None


def _acceleration(off: Doubles) -> float:
    """BCa's a of a mean: a sixth of the skewness of the mean, which the jackknife gives in closed form."""
    squares = float((off**2).sum())
    return float((off**3).sum()) / (6 * squares**1.5) if squares > 0 else 0.0


def _interval(drawn: Doubles, mean: float, confidence: float, bias: float, lean: float) -> Interval:
    ends = []
    for share in ((1 - confidence) / 2, (1 + confidence) / 2):
        shifted = bias + _NORMAL.inv_cdf(share)
        room = 1 - lean * shifted  # none where a handful of examples has one that is far off
        ends.append(_NORMAL.cdf(bias + shifted / room) if room > 0 else float(shifted > 0))
    low, high = np.quantile(drawn, ends)
    return Interval(low=mean + float(low), high=mean + float(high), confidence=confidence)
