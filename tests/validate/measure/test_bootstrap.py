"""Intervals are those of SciPy and of plain resampling, within Monte Carlo error, whoever draws."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from pocketrec.errors import UsageError
from pocketrec.validate.measure.bootstrap import (
    GROUPS,
    bootstrap,
    examples_needed,
    group,
    resampled_means,
)
from pocketrec.workers import Workers

# An end of an interval is a quantile at 2.5 % of 10,000 draws, whose standard error is 0.027 standard errors
# of the mean; BCa adds that of its z0, and two such intervals differ by √2 of both: 0.06. Four of these.
MONTE_CARLO = 0.24


@pytest.fixture
def skewed() -> np.ndarray:
    return np.random.default_rng(1).exponential(size=300)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_bca_is_scipys_within_monte_carlo_error(skewed: np.ndarray, confidence: float) -> None:
    found = bootstrap(skewed, confidences=(confidence,))
    expected = scipy.stats.bootstrap(
        (skewed,), np.mean, n_resamples=10_000, confidence_level=confidence, method="BCa", batch=500, rng=7
    ).confidence_interval
    error = MONTE_CARLO * skewed.std() / math.sqrt(len(skewed))
    assert found.method == "bca"
    assert found.mean == skewed.mean()
    assert found.intervals[0].low == pytest.approx(expected.low, abs=error)
    assert found.intervals[0].high == pytest.approx(expected.high, abs=error)


def test_bca_leans_to_the_side_of_the_tail(skewed: np.ndarray) -> None:
    (interval,) = bootstrap(skewed).intervals
    assert interval.high - skewed.mean() > skewed.mean() - interval.low
    mirrored = bootstrap(-skewed).intervals[0]
    assert (-mirrored.high, -mirrored.low) == pytest.approx((interval.low, interval.high), abs=0.02)


def test_groups_of_many_values_draw_as_plain_resampling_does() -> None:
    """Heavy tails, and more values than groups: quantiles of the means within four Monte Carlo errors."""
    values = np.random.default_rng(2).standard_t(2.5, size=4000)
    rng = np.random.default_rng(3)
    naive = np.array([values[rng.integers(0, 4000, 4000)].mean() for _ in range(2000)]) - values.mean()
    found = resampled_means(group(values), resamples=5000, seed=0)
    error = values.std() / math.sqrt(4000)
    for share in (0.005, 0.025, 0.5, 0.975, 0.995):
        density = scipy.stats.norm.pdf(scipy.stats.norm.ppf(share))
        noise = math.sqrt(share * (1 - share) * (1 / 2000 + 1 / 5000)) / density
        assert np.quantile(found, share) == pytest.approx(np.quantile(naive, share), abs=4 * noise * error)


def test_groups_keep_mean_and_variance_of_all_values() -> None:
    values = np.random.default_rng(4).pareto(3, size=50_000)
    groups = group(values)
    assert len(groups.counts) == GROUPS
    assert groups.counts.sum() == len(values)
    shares = groups.counts / len(values)
    assert (shares * groups.centres).sum() == pytest.approx(0, abs=1e-12)
    assert (shares * (groups.centres**2 + groups.variances)).sum() == pytest.approx(values.var(), rel=1e-9)
    largest = groups.centres.argsort()[-1]
    assert (groups.counts[largest], groups.variances[largest]) == (1, 0)


def test_few_values_are_drawn_one_by_one() -> None:
    values = np.random.default_rng(5).choice([-1.0, 0.0, 0.5], 5000, p=[0.01, 0.97, 0.02])
    groups = group(values)
    assert groups.counts.tolist() == [(values == each).sum() for each in (-1, 0, 0.5)]
    assert not groups.variances.any()


@pytest.mark.parametrize("count", [300, 3000])
def test_any_number_of_workers_draws_the_same_bits(count: int) -> None:
    groups = group(np.random.default_rng(6).normal(size=count))
    alone = resampled_means(groups, resamples=2100, seed=9)
    for workers in (2, 3):
        engine = Workers(count=workers, engine="threading")
        assert resampled_means(groups, resamples=2100, seed=9, workers=engine).tobytes() == alone.tobytes()
    assert resampled_means(groups, resamples=2100, seed=10).tobytes() != alone.tobytes()


def test_the_interval_covers_the_true_mean_as_often_as_it_says() -> None:
    """300 samples of 60 of an exponential: 95 % within three binomial errors, less BCa's own 2 %."""
    rng = np.random.default_rng(8)
    hits = 0
    for seed in range(300):
        (interval,) = bootstrap(rng.exponential(size=60), resamples=600, seed=seed).intervals
        hits += interval.low <= 1 <= interval.high
    assert 0.95 - 0.02 - 3 * 0.0126 <= hits / 300 <= 0.95 + 3 * 0.0126


def test_a_narrower_confidence_lies_inside_a_wider_one(skewed: np.ndarray) -> None:
    one, two, three = bootstrap(skewed, confidences=(0.5, 0.9, 0.999)).intervals
    assert three.low < two.low < one.low < one.high < two.high < three.high
    assert not two.within(0.1)
    assert replace(two, low=-0.1, high=0.05).within(0.1)
    assert not replace(two, low=-0.2, high=0.05).within(0.1)


def test_equal_values_have_an_interval_of_no_width() -> None:
    found = bootstrap(np.zeros(50))
    assert (found.intervals[0].low, found.intervals[0].high, found.deviation) == (0, 0, 0)
    assert found.method == "percentile"


@pytest.mark.parametrize("values", [np.zeros(0), np.array([1.0, math.nan]), np.array([math.inf, 1.0])])
def test_what_has_no_interval_is_an_error(values: np.ndarray) -> None:
    with pytest.raises(UsageError, match="have no interval"):
        bootstrap(values)


def test_one_value_far_off_among_a_handful_gives_an_interval_all_the_same() -> None:
    found = bootstrap(np.r_[np.zeros(9), 1e6]).intervals[0]
    assert 0 <= found.low <= found.high <= 1e6


def test_as_many_examples_as_are_said_to_be_needed_tell() -> None:
    rng = np.random.default_rng(11)
    few = rng.normal(0, 0.05, 60)
    limit = 0.006

    def tell(values: np.ndarray) -> bool:
        return bootstrap(values, resamples=2000).intervals[0].within(limit)

    assert not tell(few - few.mean())
    needed = examples_needed(float(few.std()), 0.0, limit)
    assert needed is not None
    for share, enough in ((1.15, True), (0.5, False)):
        drawn = rng.normal(size=round(share * needed))
        assert tell((drawn - drawn.mean()) / drawn.std() * few.std()) == enough
    gained = examples_needed(float(few.std()), -limit, limit)
    assert gained == pytest.approx(needed / 4, abs=1)
    assert examples_needed(0.05, limit, limit) is None
    assert examples_needed(math.nan, 0.0, limit) is None
