"""Percentiles, intervals, trends and ratios are those of scipy and of counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pocketrec.errors import UsageError
from pocketrec.validate.profile.statistics import (
    Doubles,
    Ratio,
    distribution,
    outliers,
    over_processes,
    percentile,
    ratio,
    steadiness,
    trend,
)


def drawn(count: int, seed: int = 0) -> Doubles:
    """Latency as it is: most calls near 1 ms, a second hump, a long tail."""
    rng = np.random.default_rng(seed)
    fast, slow = rng.gamma(40, 0.025, count), rng.gamma(9, 0.3, count)
    return np.where(rng.random(count) < 0.8, fast, slow)


@pytest.mark.parametrize("count", [5, 20, 100, 399, 1000])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99])
def test_a_percentile_and_its_interval_are_numpys_and_scipys(count: int, share: float) -> None:
    samples = drawn(count)
    found = percentile(samples, share)
    expected = stats.quantile_test(samples, q=0, p=share).confidence_interval(0.95)
    assert found.ms == pytest.approx(np.percentile(samples, 100 * share), rel=1e-12)
    for end, other in ((found.low_ms, expected.low), (found.high_ms, expected.high)):
        assert end is None if np.isnan(other) else end == other


def test_a_hundred_calls_have_no_upper_end_of_the_99th_percentile() -> None:
    """The largest of them lies below it in 0.99 ** 100 = 37% of all runs."""
    found = percentile(drawn(100), 0.99)
    assert found.low_ms is not None
    assert found.high_ms is None
    assert percentile(drawn(400), 0.99).high_ms is not None


def test_intervals_hold_the_true_percentile_as_often_as_they_say() -> None:
    """Of 2,000 lists of 60 exponential calls at least 95% hold the 90th percentile, which is log 10."""
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(2000):
        found = percentile(rng.exponential(size=60), 0.9)
        assert found.low_ms is not None
        held += found.low_ms <= np.log(10) <= (np.inf if found.high_ms is None else found.high_ms)
    assert held >= 0.94 * 2000


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("ties", [False, True])
def test_a_trend_is_kendalls_and_its_slope_theils_and_sens(seed: int, ties: bool) -> None:
    noise = np.random.default_rng(seed).normal(size=40) + np.arange(40) * 0.01 * seed
    values = np.asarray(np.round(noise) if ties else noise, np.float64)
    p_value, slope = trend(values)
    expected = stats.kendalltau(np.arange(40), values, method="asymptotic")
    assert p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert slope == pytest.approx(stats.theilslopes(values).slope, rel=1e-9, abs=1e-12)


def test_calls_that_slow_down_are_drifting_and_shuffled_they_are_not() -> None:
    samples = drawn(200) + np.linspace(0, 1, 200)
    found = steadiness(samples)
    assert found.status == "drifting"
    assert found.drift == pytest.approx(1 / float(np.median(samples)), rel=0.2)
    shuffled = np.random.default_rng(5).permutation(samples)
    assert steadiness(shuffled).status == "no trend shown"


def test_a_trend_that_is_sure_but_tiny_is_no_drift() -> None:
    found = steadiness(100 + np.linspace(0, 1, 200))
    assert found.p_value < 1e-6
    assert found.status == "no trend shown"


def test_a_handful_of_calls_shows_nothing() -> None:
    assert steadiness(np.linspace(1, 9, 39)).status == "too few calls"
    assert steadiness(np.linspace(1, 9, 40)).status == "drifting"


def test_calls_that_follow_each_other_are_told() -> None:
    """Twenty slow and twenty fast in a row repeat each other; alternating ones do the opposite."""
    rows, turns = np.repeat([1.0, 2.0], 20), np.tile([1.0, 2.0], 20)
    assert steadiness(rows).repeats == pytest.approx((19 + 19 - 1) / 40)
    assert steadiness(turns).repeats == pytest.approx(-39 / 40)
    assert steadiness(np.ones(40)).repeats == 0.0


def test_outliers_lie_beyond_the_outer_fence() -> None:
    """Quartiles 2 and 4 of 1, 2, 3, 4, 5 set it at 10, which itself is none."""
    found = outliers(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert (found.count, found.fence_ms, found.longest_ms) == (0, 10.0, 5.0)
    assert outliers(np.array([1.0, 2.0, 2.0, 3.0, 4.0, 4.0, 11.0])).count == 1


def test_the_ratio_is_the_median_of_pairs_of_rounds() -> None:
    """Three pairs: (1 + 3) / (1 + 1) = 2, (4 + 4) / 2 = 4, (2 + 4) / 2 = 3; the odd round is left."""
    found = ratio([1, 3, 4, 4, 2, 4, 99], [1] * 7)
    assert (found.ratio, found.pairs) == (3.0, 3)
    assert (found.low, found.high, found.verdict) == (None, None, "no difference shown")


def test_what_follows_a_slow_call_is_no_slower_in_the_ratio() -> None:
    """The second of each round takes twice as long; orders alternate, so the ratio is 1."""
    one, other = np.tile([1.0, 2.0], 50), np.tile([2.0, 1.0], 50)
    found = ratio(list(one), list(other))
    assert found.ratio == 1.0
    assert found.verdict == "no difference shown"


@pytest.mark.parametrize(("factor", "verdict"), [(1.05, "slower"), (0.95, "faster")])
def test_a_difference_is_seen_below_the_noise_that_both_share(factor: float, verdict: str) -> None:
    noise, own = drawn(400), np.random.default_rng(9).normal(1, 0.02, 400)
    found = ratio(list(noise * factor * own), list(noise))
    assert found.verdict == verdict
    assert found.ratio == pytest.approx(factor, rel=0.01)
    assert found.low is not None
    assert found.high is not None
    assert found.low < factor < found.high


def test_the_interval_of_several_processes_is_over_them() -> None:
    """Each process is sure of its own to a thousandth; together they say the second from each end."""
    own = [0.98, 0.99, 1.0, 1.0, 1.0, 1.01, 1.01, 1.02, 1.03, 1.04]
    parts = [Ratio(ratio=each, low=each - 1e-3, high=each + 1e-3, confidence=0.95, pairs=5) for each in own]
    found = over_processes(parts)
    assert found.ratio == pytest.approx(1.005)
    assert (found.low, found.high) == (0.99, 1.03)
    assert (found.pairs, found.processes, found.verdict) == (50, 10, "no difference shown")
    assert over_processes(parts[:1]) == parts[0]


@pytest.mark.parametrize("samples", [[], [1.0, float("nan")], [-1.0, 2.0]])
def test_times_that_are_none_have_no_percentiles(samples: list[float]) -> None:
    with pytest.raises(UsageError, match="no percentiles"):
        distribution(samples)


@pytest.mark.parametrize(("one", "other"), [([1.0], [1.0]), ([1.0, 2.0], [1.0]), ([1.0, 1.0], [0.0, 0.0])])
def test_what_has_no_ratio_is_refused(one: list[float], other: list[float]) -> None:
    with pytest.raises(UsageError, match="ratio"):
        ratio(one, other)


def test_a_distribution_has_all_of_it() -> None:
    found = distribution(list(drawn(300)))
    assert [each.name for each in found.percentiles] == ["p50", "p90", "p95", "p99"]
    assert found.p50_ms == found.percentiles[0].ms
    assert found.mean_ms == pytest.approx(float(drawn(300).mean()))
    assert (found.calls, len(found.samples_ms)) == (300, 300)
