"""What a list of milliseconds says: percentiles with intervals, a drift, outliers, the ratio of two lists.

Nothing here assumes a shape of the distribution, which for latency has two humps and a long tail as a rule.

Percentile: between order statistics, linearly, as NumPy has it. Its interval is that of two order
statistics, whose ranks are binomial: of n independent calls, how many lie below the p-quantile is
Binomial(n, p). Where n is too small for an end there is none: of 100 calls, the largest lies below the 99th
percentile in one of three runs. Source: Conover, Practical nonparametric statistics, 3rd edition 1999,
section 3.2; the same as `scipy.stats.quantile_test`.

Ratio: of what two rounds took, one in each order, of one artifact against another, the median over such
pairs. What disturbs the machine disturbs both of a pair. But where a process happens to lay an artifact out
in memory holds for all of its calls: two loads of one file differ by half a percent, beyond any interval of
one process. So the median is taken over processes, and the interval is that of it, by order statistics.
Source: Kalibera and Jones, Rigorous benchmarking in reasonable time, ISMM 2013.

Drift: Kendall's test of a trend over medians of consecutive calls, and Theil and Sen's slope, which says how
far it leads from the first call to the last. Sources: Mann, Nonparametric tests against trend, Econometrica
1945; Sen, Estimates of the regression coefficient based on Kendall's tau, JASA 1968. What goes up and down
again, such as a clock that changes to and fro, shows no trend and is not found.

Outliers: above the upper quartile by more than three times the distance of the quartiles. Source: Tukey,
Exploratory data analysis, 1977, section 2D ("far out"). They are counted, and stay in every figure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt

from pocketrec.errors import UsageError

Doubles = npt.NDArray[np.float64]

CONFIDENCE = 0.95
SHARES = (0.5, 0.9, 0.95, 0.99)
_BLOCK, _MOST_BLOCKS, _FEWEST_BLOCKS = 5, 200, 8
_CHANCE, _RELEVANT = 0.01, 0.05  # a drift is one that chance rarely shows, of more than a twentieth
_FAR = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentile:
    """A percentile of the calls; an end of its interval is None where there are too few calls for it."""

    share: float
    ms: float
    low_ms: float | None
    high_ms: float | None
    confidence: float

    @property
    def name(self) -> str:
        """Such as `p50`."""
        return f"p{self.share * 100:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Steadiness:
    """Whether calls went on taking as long as they did.

    Attributes:
        status: `no trend shown`, `drifting`, or `too few calls` to tell.
        drift: from the first call to the last, as a share of the median; 0 where that was not asked.
        p_value: how often chance shows such a trend or a clearer one; 1 where that was not asked.
        repeats: how much a call is like the one before, -1 to 1; above 0.2 or so intervals are too narrow,
            since they take calls to be independent.
    """

    status: Literal["no trend shown", "drifting", "too few calls"]
    drift: float
    p_value: float
    repeats: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outliers:
    """Calls that took longer than the fence: how many, and the longest of all."""

    count: int
    fence_ms: float
    longest_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """What calls took, in milliseconds; `samples_ms` are the calls in order."""

    calls: int
    mean_ms: float
    percentiles: tuple[Percentile, ...]
    steadiness: Steadiness
    outliers: Outliers
    samples_ms: tuple[float, ...]

    @property
    def p50_ms(self) -> float:
        """The median."""
        return next(each.ms for each in self.percentiles if each.share == 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """How many times as long one takes as the other; an end is None where there is too little for it.

    Attributes:
        ratio: the median over processes of the median over pairs of rounds.
        low: of the interval over processes; over pairs where there is one process.
        high: likewise.
        confidence: of it.
        pairs: of rounds, in all.
        processes: in which both were loaded anew; an interval of one leaves out what differs between them.
    """

    ratio: float
    low: float | None
    high: float | None
    confidence: float
    pairs: int
    processes: int = 1

    @property
    def verdict(self) -> Literal["slower", "faster", "no difference shown"]:
        """What the interval says; never that two are equal."""
        if self.low is not None and self.low > 1:
            return "slower"
        return "faster" if self.high is not None and self.high < 1 else "no difference shown"


def distribution(samples_ms: Sequence[float], *, confidence: float = CONFIDENCE) -> Distribution:
    """Percentiles 50, 90, 95 and 99 of the calls with intervals, their drift, their outliers.

    Raises:
        UsageError: there is no call, or a time is negative or not finite.
    """
    samples = np.asarray(samples_ms, np.float64)
    if not len(samples) or not np.isfinite(samples).all() or samples.min() < 0:
        raise UsageError(f"{len(samples)} calls with times among them that are none have no percentiles")
    return Distribution(
        calls=len(samples),
        mean_ms=float(samples.mean()),
        percentiles=tuple(percentile(samples, each, confidence=confidence) for each in SHARES),
        steadiness=steadiness(samples),
        outliers=outliers(samples),
        samples_ms=tuple(float(each) for each in samples),
    )


def percentile(samples: Doubles, share: float, *, confidence: float = CONFIDENCE) -> Percentile:
    """The share's quantile of the samples, with the interval between two of them."""
    ordered = np.sort(samples)
    low, high = _ranks(len(ordered), share, confidence)
    return Percentile(
        share=share,
        ms=float(np.quantile(ordered, share)),
        low_ms=None if low < 0 else float(ordered[low]),
        high_ms=None if high >= len(ordered) else float(ordered[high]),
        confidence=confidence,
    )


def _ranks(count: int, share: float, confidence: float) -> tuple[int, int]:
    """The places, from 0, of the order statistics that hold the quantile; outside where there is none."""
    drawn = np.arange(1, count + 1)
    chosen = np.r_[0.0, np.cumsum(np.log((count - drawn + 1) / drawn))]  # log of count over k
    logs = chosen + np.arange(count + 1) * math.log(share) + np.arange(count, -1, -1) * math.log1p(-share)
    below = np.cumsum(np.exp(logs))
    tail = (1 - confidence) / 2
    return int(np.searchsorted(below, tail)) - 1, int(np.searchsorted(below, 1 - tail))


def ratio(one: Sequence[float], other: Sequence[float], *, confidence: float = CONFIDENCE) -> Ratio:
    """How many times as long `one` takes as `other`, of calls that took turns; round by round in order.

    Raises:
        UsageError: there are fewer than two rounds, as many of one as of the other, or a call took no time.
    """
    left, right = (np.asarray(each, np.float64) for each in (one, other))
    if len(left) != len(right) or len(left) < 2:
        raise UsageError(f"{len(left)} and {len(right)} calls have no ratio; expected as many, at least 2")
    pairs = [each[: len(each) // 2 * 2].reshape(-1, 2).sum(axis=1) for each in (left, right)]
    if not (pairs[1] > 0).all():
        raise UsageError("a call that took no time has no ratio; the clock is too coarse for such calls")
    middle = percentile(pairs[0] / pairs[1], 0.5, confidence=confidence)
    return Ratio(
        ratio=middle.ms,
        low=middle.low_ms,
        high=middle.high_ms,
        confidence=confidence,
        pairs=len(pairs[0]),
    )


def over_processes(ratios: Sequence[Ratio], *, confidence: float = CONFIDENCE) -> Ratio:
    """The ratio of several processes, each with its own; the one of one process as it is."""
    if len(ratios) == 1:
        return ratios[0]
    middle = percentile(np.array([each.ratio for each in ratios]), 0.5, confidence=confidence)
    return Ratio(
        ratio=middle.ms,
        low=middle.low_ms,
        high=middle.high_ms,
        confidence=confidence,
        pairs=sum(each.pairs for each in ratios),
        processes=len(ratios),
    )


def steadiness(samples: Doubles) -> Steadiness:
    """Whether the samples, in their order, show a trend."""
    size = max(_BLOCK, -(-len(samples) // _MOST_BLOCKS))
    blocks = np.median(samples[: len(samples) // size * size].reshape(-1, size), axis=1)
    repeats = _repeats(samples)
    if len(blocks) < _FEWEST_BLOCKS:
        return Steadiness(status="too few calls", drift=0.0, p_value=1.0, repeats=repeats)
    p_value, slope = trend(blocks)
    middle = float(np.median(samples))
    drift = slope * (len(blocks) - 1) / middle if middle else 0.0
    drifting = p_value < _CHANCE and abs(drift) > _RELEVANT
    status: Literal["drifting", "no trend shown"] = "drifting" if drifting else "no trend shown"
    return Steadiness(status=status, drift=drift, p_value=p_value, repeats=repeats)


def trend(values: Doubles) -> tuple[float, float]:
    """The p-value of Kendall's test of a trend, two-sided, and Theil and Sen's slope per value.

    The variance is that under ties; there is no correction for continuity.
    """
    count = len(values)
    early, late = np.triu_indices(count, 1)
    steps = values[late] - values[early]
    score = float(np.sign(steps).sum())
    _, tied = np.unique(values, return_counts=True)
    spread = count * (count - 1) * (2 * count + 5) - float((tied * (tied - 1) * (2 * tied + 5)).sum())
    slope = float(np.median(steps / (late - early)))
    if spread <= 0:
        return 1.0, slope
    return 2 * NormalDist().cdf(-abs(score) / math.sqrt(spread / 18)), slope


def _repeats(samples: Doubles) -> float:
    """The correlation of a call with the next one; 0 where all took as long."""
    off = samples - samples.mean()
    squares = float((off**2).sum())
    return float((off[1:] * off[:-1]).sum()) / squares if squares > 0 else 0.0


def outliers(samples: Doubles) -> Outliers:
    """The samples beyond Tukey's outer fence."""
    lower, upper = np.quantile(samples, (0.25, 0.75))
    fence = float(upper + _FAR * (upper - lower))
    return Outliers(count=int((samples > fence).sum()), fence_ms=fence, longest_ms=float(samples.max()))
