"""Metrics of labels are scikit-learn's, or those of the definition written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from pocketrec.validate.measure.metrics.auc import auc, placements, row_values
from pocketrec.validate.measure.metrics.calibration import adaptive_calibration_error, calibration_error
from pocketrec.validate.measure.metrics.gauc import user_aucs
from pocketrec.validate.measure.metrics.log_loss import EPSILON, log_loss
from pocketrec.validate.measure.metrics.ties import mid_ranks

ROWS = st.lists(
    st.tuples(st.integers(0, 8).map(lambda each: each / 8), st.integers(0, 1), st.integers(0, 3)),
    min_size=2,
    max_size=60,
)


@settings(max_examples=80, deadline=None)
@given(rows=ROWS)
def test_ranks_share_their_mean_within_each_group(rows: list[tuple[float, int, int]]) -> None:
    scores, _, groups = (np.array(each) for each in zip(*rows, strict=True))
    np.testing.assert_array_equal(mid_ranks(scores), rankdata(scores))
    found = mid_ranks(scores, groups)
    for group in set(groups.tolist()):
        np.testing.assert_array_equal(found[groups == group], rankdata(scores[groups == group]))


@settings(max_examples=80, deadline=None)
@given(rows=ROWS)
def test_auc_and_gauc_are_scikit_learns_with_ties(rows: list[tuple[float, int, int]]) -> None:
    scores, labels, users = (np.array(each) for each in zip(*rows, strict=True))
    found = auc(scores, labels)
    if len(set(labels.tolist())) < 2:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(sklearn.metrics.roc_auc_score(labels, scores), abs=1e-9)
    total, weight = 0.0, 0
    for user in sorted(set(users.tolist())):
        mine = users == user
        if len(set(labels[mine].tolist())) == 2:
            total += mine.sum() * sklearn.metrics.roc_auc_score(labels[mine], scores[mine])
            weight += int(mine.sum())
    gauc = user_aucs(scores, labels, users).mean()
    assert math.isnan(gauc) if not weight else gauc == pytest.approx(total / weight, abs=1e-9)


def test_values_per_row_and_per_user_have_the_metric_as_their_mean() -> None:
    rng = np.random.default_rng(2)
    scores, labels, users = rng.random(200), (rng.random(200) < 0.3).astype(int), rng.integers(0, 20, 200)
    assert row_values(placements(scores, labels), labels).mean() == pytest.approx(
        auc(scores, labels), abs=1e-12
    )
    found = user_aucs(scores, labels, users)
    assert found.weighted(found.values).mean() == pytest.approx(found.mean(), abs=1e-12)


def test_the_spread_of_the_row_values_is_that_of_auc_over_draws_of_rows() -> None:
    """The standard error by row values is within 5 % of that of 2,000 draws, whose own error is 1.6 %."""
    rng = np.random.default_rng(3)
    labels = (rng.random(800) < 0.3).astype(int)
    scores = rng.normal(size=800) + labels
    values = row_values(placements(scores, labels), labels)
    drawn = []
    for _ in range(2000):
        rows = rng.integers(0, 800, 800)
        drawn.append(auc(scores[rows], labels[rows]))
    assert values.std() / math.sqrt(800) == pytest.approx(np.std(drawn), rel=0.05)


def test_log_loss_of_probabilities_and_of_logits_is_scikit_learns() -> None:
    rng = np.random.default_rng(4)
    labels, logits = (rng.random(100) < 0.5).astype(int), rng.normal(size=100) * 3
    probabilities = 1 / (1 + np.exp(-logits))
    expected = sklearn.metrics.log_loss(labels, probabilities)
    assert log_loss(logits, labels, meaning="logit").mean() == pytest.approx(expected, abs=1e-9)
    assert log_loss(probabilities, labels, meaning="probability").mean() == pytest.approx(expected, abs=1e-9)
    sure = log_loss(np.array([0.0, 1.0]), np.array([1, 0]), meaning="probability")
    np.testing.assert_allclose(sure, -math.log(EPSILON), rtol=1e-6)


def naive_ece(p: list[float], y: list[int], bins: list[list[int]]) -> float:
    return sum(abs(sum(y[i] - p[i] for i in each)) for each in bins) / len(p)


@settings(max_examples=80, deadline=None)
@given(rows=ROWS, bins=st.integers(1, 9))
def test_calibration_with_bins_of_equal_width_is_its_definition(
    rows: list[tuple[float, int, int]], bins: int
) -> None:
    p, y = [each[0] for each in rows], [each[1] for each in rows]
    members: list[list[int]] = [[] for _ in range(bins)]
    for i, each in enumerate(p):
        members[min(int(each * bins), bins - 1)].append(i)
    assert calibration_error(np.array(p), np.array(y), bins=bins) == pytest.approx(
        naive_ece(p, y, members), abs=1e-9
    )


def test_adaptive_calibration_is_its_definition_where_no_two_probabilities_are_equal() -> None:
    rng = np.random.default_rng(5)
    p, y = rng.random(103), (rng.random(103) < 0.4).astype(int)
    order = [each.tolist() for each in np.array_split(np.argsort(p), 7)]
    expected = naive_ece(p.tolist(), y.tolist(), order)
    assert adaptive_calibration_error(p, y, bins=7) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, seed=st.integers(0, 99))
def test_the_order_of_rows_changes_no_calibration_error(
    rows: list[tuple[float, int, int]], seed: int
) -> None:
    p, y = np.array([each[0] for each in rows]), np.array([each[1] for each in rows])
    order = np.random.default_rng(seed).permutation(len(rows))
    for error in (calibration_error, adaptive_calibration_error):
        assert error(p, y) == pytest.approx(error(p[order], y[order]), abs=1e-12)


def test_what_cannot_be_measured_is_nan() -> None:
    bad, labels = np.array([math.nan, 0.5]), np.array([0, 1])
    assert math.isnan(auc(bad, labels))
    assert math.isnan(user_aucs(bad, labels, np.array([7, 7])).mean())
    assert math.isnan(calibration_error(bad, labels))
    assert math.isnan(adaptive_calibration_error(bad, labels))
    assert np.isnan(log_loss(bad, labels, meaning="logit"))[0]
