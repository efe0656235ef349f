"""The sample-ratio test finds a mismatch, and as seldom as it says where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from pocketrec.errors import UsageError
from pocketrec.validate.experiments.ratio import check_ratio


@pytest.mark.parametrize(
    ("observed", "weights"),
    [((5010, 4990), (1, 1)), ((821_588, 815_482), (1, 1)), ((100, 210, 480), (1, 2, 5)), ((7, 5), (1, 1))],
)
def test_the_test_is_scipys(observed: tuple[int, ...], weights: tuple[int, ...]) -> None:
    names = [f"v{each}" for each in range(len(observed))]
    found = check_ratio(dict(zip(names, observed, strict=True)), dict(zip(names, weights, strict=True)))
    expected = np.array(weights) / sum(weights) * sum(observed)
    peer = chisquare(observed, expected)
    assert found.statistic == pytest.approx(peer.statistic, rel=1e-12)
    assert found.p_value == pytest.approx(peer.pvalue, rel=1e-9)
    assert found.degrees == len(observed) - 1


def test_a_known_mismatch_is_found_and_its_variant_named() -> None:
    """50.2 % of 1.6 million: the example of Kohavi, Tang & Xu, "Trustworthy online controlled
    experiments"."""
    found = check_ratio({"control": 821_588, "new": 815_482}, {"control": 1, "new": 1})
    assert not found.passed
    assert found.p_value == pytest.approx(1.8e-6, rel=0.05)
    three = check_ratio({"a": 1000, "b": 1000, "c": 800}, {"a": 1, "b": 1, "c": 1})
    assert (three.passed, three.farthest) == (False, "c")


def test_counts_that_are_no_surprise_pass() -> None:
    assert check_ratio({"a": 5010, "b": 4990}, {"a": 1, "b": 1}).passed


def test_right_counts_fail_as_often_as_the_threshold_says() -> None:
    """Of 2,000 experiments at 0.05: 100 in the mean, and 4 deviations are 39."""
    rng = np.random.default_rng(0)
    shares = {"a": 0.2, "b": 0.3, "c": 0.5}
    failed = 0
    for counts in rng.multinomial(5000, list(shares.values()), 2000):
        failed += not check_ratio(
            dict(zip(shares, counts.tolist(), strict=True)), shares, threshold=0.05
        ).passed
    assert abs(failed - 100) < 39


@pytest.mark.parametrize(
    ("observed", "shares", "threshold", "message"),
    [
        (
            {"a": 4, "b": 3},
            {"a": 1, "b": 1},
            0.0005,
            "variant 'a': 3.5 of 7 units are expected; the test needs 5",
        ),
        ({"a": 40}, {"a": 1, "b": 1}, 0.0005, "variant 'b' has a count or a weight, not both"),
        ({"a": 40, "b": -1}, {"a": 1, "b": 1}, 0.0005, "variant 'b': -1 units; expected 0 or more"),
        ({"a": 40, "b": 1}, {"a": 1, "b": 0}, 0.0005, "variant 'b': the weight is 0"),
        ({"a": 40}, {"a": 1}, 0.0005, "1 variants; expected two or more"),
        ({"a": 40, "b": 40}, {"a": 1, "b": 1}, 5, "the threshold is 5; expected a p-value"),
    ],
)
def test_what_cannot_be_tested_is_told(
    observed: dict[str, int], shares: dict[str, float], threshold: float, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check_ratio(observed, shares, threshold=threshold)
