"""Two runs side by side: changes are paired, slices are of their rows alone, and drift is told."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pocketrec.report import MetricChange
from pocketrec.validate.measure.compare import beside, compare_quality, error_of_change
from pocketrec.validate.measure.metrics.calibration import calibration_error
from pocketrec.validate.measure.metrics.gauc import user_aucs
from pocketrec.validate.measure.ranking import QualityRun, classification_metrics, ranking_metrics
from pocketrec.validate.measure.rows import CATALOGUE_ROW, KeptRows
from pocketrec.validate.measure.slices import Division, Facts

NAMES = ("auc", "log_loss", "gauc", "ece", "adaptive_ece")


def ranked(places: np.ndarray, top_k: np.ndarray, ks: tuple[int, ...] = (2, 3)) -> QualityRun:
    return QualityRun(
        metrics=ranking_metrics(places, names=("hr", "ndcg"), ks=ks),
        examples=len(places),
        top_k=top_k,
        ks=ks,
        places=places,
    )


def labelled(scores: np.ndarray, labels: np.ndarray, users: np.ndarray) -> QualityRun:
    return QualityRun(
        metrics=classification_metrics(scores, labels, meaning="probability", names=NAMES, users=users),
        examples=len(scores),
        scores=scores,
        labels=labels,
        users=users,
        meaning="probability",
    )


@pytest.fixture
def lists() -> tuple[QualityRun, QualityRun]:
    """40 users of 6 items; every fourth user's held-out item falls by one place."""
    rng = np.random.default_rng(0)
    before = np.stack([rng.permutation(6)[:3] for _ in range(40)])
    after = before.copy()
    after[::4] = after[::4, [1, 0, 2]]
    places = np.tile([0.0, 1.0, 2.0, math.inf], 10)
    moved = places.copy()
    moved[::4] = 1
    return ranked(places, before), ranked(moved, after)


@pytest.fixture
def scores() -> tuple[QualityRun, QualityRun]:
    rng = np.random.default_rng(1)
    labels = (rng.random(400) < 0.4).astype(np.float32)
    before = np.clip(rng.normal(0.3 + 0.3 * labels, 0.2), 0.01, 0.99).astype(np.float32)
    after = np.clip(before + rng.normal(0, 0.05, 400), 0.01, 0.99).astype(np.float32)
    users = rng.integers(0, 25, 400)
    return labelled(before, labels, users), labelled(after, labels, users)


def changes(runs: tuple[QualityRun, QualityRun]) -> dict[str, MetricChange]:
    return {each.metric: each for each in compare_quality(*runs).changes}


def test_a_change_is_that_of_the_metrics_and_counts_who_fell(lists: tuple[QualityRun, QualityRun]) -> None:
    found = changes(lists)
    assert list(found) == ["hr@2", "ndcg@2", "hr@3", "ndcg@3"]
    ndcg = found["ndcg@2"]
    assert ndcg.change == pytest.approx(10 * (1 / math.log2(3) - 1) / 40)
    assert (ndcg.examples, ndcg.differing, ndcg.fell, ndcg.resampled) == (40, 10, 10, "users")
    assert ndcg.intervals[0].low < ndcg.change < ndcg.intervals[0].high < 0
    assert (found["hr@2"].differing, found["hr@2"].intervals[0].high) == (0, 0)


def test_pairing_leaves_the_users_own_spread_out(lists: tuple[QualityRun, QualityRun]) -> None:
    """The interval of the change is narrower than that of either mean."""
    ndcg = changes(lists)["ndcg@3"]
    assert lists[0].places is not None
    alone = np.where(np.isfinite(lists[0].places), 1 / np.log2(lists[0].places + 2), 0)
    assert ndcg.deviation < 0.6 * alone.std()


def test_every_metric_of_labels_changes_by_itself(scores: tuple[QualityRun, QualityRun]) -> None:
    before, after = scores
    found = changes(scores)
    for name in NAMES:
        assert found[name].change == pytest.approx(after.metrics[name] - before.metrics[name], abs=1e-12)
    assert [found[name].resampled for name in NAMES] == ["rows", "rows", "users", "rows", "rows"]
    assert [len(found[name].intervals) for name in NAMES] == [1, 1, 1, 1, 1]
    assert found["gauc"].examples == 25


def test_the_interval_of_a_calibration_error_is_about_that_of_drawing_rows_anew(
    scores: tuple[QualityRun, QualityRun],
) -> None:
    """Somewhat wider: a resample can turn the sign of a bin in both runs at once, which is no difference."""
    before, after = scores
    assert before.scores is not None
    assert after.scores is not None
    assert before.labels is not None
    rng, drawn = np.random.default_rng(2), []
    for _ in range(1500):
        rows = rng.integers(0, 400, 400)
        one, two = (
            calibration_error(each[rows], before.labels[rows]) for each in (before.scores, after.scores)
        )
        drawn.append(two - one)
    low, high = np.quantile(drawn, [0.025, 0.975])
    interval = changes(scores)["ece"].intervals[0]
    assert 1 <= (interval.high - interval.low) / (high - low) < 1.5
    assert interval.low <= low + 0.005


@pytest.mark.parametrize("metric", ["auc", "gauc"])
def test_the_interval_of_a_ratio_is_that_of_drawing_its_examples_anew(
    metric: str, scores: tuple[QualityRun, QualityRun]
) -> None:
    """Plain resampling of rows, or of whole users, within 12 % of the width: 1,500 draws tell no more."""
    before, after = scores
    assert before.scores is not None
    assert after.scores is not None
    assert before.labels is not None
    assert before.users is not None
    rng, drawn = np.random.default_rng(2), []
    for _ in range(1500):
        if metric == "auc":
            rows = rng.integers(0, 400, 400)
            names = rows
        else:
            chosen = [np.flatnonzero(before.users == each) for each in rng.integers(0, 25, 25)]
            rows = np.concatenate(chosen)
            names = np.repeat(np.arange(25), [len(each) for each in chosen])
        values = [
            float(roc_auc_score(before.labels[rows], each[rows]))
            if metric == "auc"
            else user_aucs(each[rows], before.labels[rows], names).mean()
            for each in (before.scores, after.scores)
        ]
        drawn.append(values[1] - values[0])
    low, high = np.quantile(drawn, [0.025, 0.975])
    interval = changes(scores)[metric].intervals[0]
    assert interval.high - interval.low == pytest.approx(high - low, rel=0.12)
    assert interval.low == pytest.approx(low, abs=0.12 * (high - low))


def test_a_slice_has_the_metrics_of_its_rows_and_intervals_for_all_that_are_large(
    lists: tuple[QualityRun, QualityRun],
) -> None:
    places = np.repeat([0, 1, 2], [20, 12, 8])
    facts = Facts(
        divisions=(Division(name="users", labels=("a", "b", "c", "d"), places=places, min_examples=10),)
    )
    found = compare_quality(*lists, facts)
    assert [(each.name, each.examples, each.large) for each in found.slices] == [
        ("users: a", 20, True),
        ("users: b", 12, True),
        ("users: c", 8, False),
        ("users: d", 0, False),
    ]
    first = {each.metric: each for each in found.slices[0].changes}["ndcg@2"]
    part = ranking_metrics(lists[1].places[:20], names=("ndcg",), ks=(2,))  # type: ignore[index]
    assert first.after == part["ndcg@2"]
    one, two = first.intervals
    assert (one.confidence, two.confidence) == (0.95, 0.975)
    assert two.low <= one.low
    assert found.slices[3].changes == ()


def test_a_slice_of_labels_is_ranked_by_itself(scores: tuple[QualityRun, QualityRun]) -> None:
    half = np.arange(400) % 2
    divisions = (Division(name="odd", labels=("0", "1"), places=half, min_examples=10),)
    found = compare_quality(*scores, Facts(divisions=divisions)).slices[1]
    values = {each.metric: each.after for each in found.changes}
    assert scores[1].scores is not None
    assert scores[1].labels is not None
    expected = roc_auc_score(scores[1].labels[1::2], scores[1].scores[1::2])
    assert values["auc"] == pytest.approx(expected, abs=1e-9)


def test_lists_are_compared_at_every_length_and_beside_the_catalogue(
    lists: tuple[QualityRun, QualityRun],
) -> None:
    vectors = np.eye(6, dtype=np.float32)
    kept = {"item": KeptRows(what=CATALOGUE_ROW, values={"v": vectors}, whole=frozenset())}
    facts = Facts(counts=np.array([5, 4, 3, 2, 1, 0]), users=40, items=6)
    two, three = compare_quality(replace(lists[0], kept=kept), lists[1], facts).lists
    assert (two.k, three.k) == (2, 3)
    assert (two.overlap, three.overlap, two.churn) == (1, 1, 0)
    assert (two.changed, two.first_changed) == (0.25, 0.25)
    assert two.kendall_tau == pytest.approx(0.5)  # every fourth list of two is the other way round
    assert 0.9 < two.rank_biased_overlap < 1
    assert two.coverage == (1, 1)
    assert two.popularity_shift == pytest.approx(0)
    assert two.diversity == (1, 1)
    assert two.novelty is not None
    assert two.novelty[0] == pytest.approx(two.novelty[1])
    unknown = compare_quality(*lists).lists[0]
    assert (unknown.coverage, unknown.novelty, unknown.popularity_shift, unknown.diversity) == (None,) * 4


def test_the_standard_error_of_a_change_is_that_of_its_interval(
    lists: tuple[QualityRun, QualityRun], scores: tuple[QualityRun, QualityRun]
) -> None:
    for before, after in (lists, scores):
        for change in compare_quality(before, after).changes:
            error = error_of_change(change.metric, before, after)
            low, high = change.intervals[0].low, change.intervals[0].high
            assert error == pytest.approx((high - low) / (2 * 1.96), rel=0.2)


def test_what_is_no_mean_or_broken_has_no_standard_error(lists: tuple[QualityRun, QualityRun]) -> None:
    one = ranked(np.zeros(1), np.zeros((1, 3), int))
    assert error_of_change("ndcg@2", one, one) is None
    before, after = lists
    broken = replace(after, places=np.full(40, math.nan))
    assert error_of_change("ndcg@2", before, broken) is None


def test_a_metric_that_is_nan_has_no_interval(lists: tuple[QualityRun, QualityRun]) -> None:
    before, after = lists
    assert after.places is not None
    places = after.places.copy()
    places[3] = math.nan
    broken = ranked(places, after.top_k)  # type: ignore[arg-type]
    found = changes((before, broken))["ndcg@2"]
    assert math.isnan(found.after)
    assert (found.intervals, found.examples) == ((), 0)
    assert math.isnan(beside(before, broken).top_k_overlap or 0)


def test_the_overlap_is_that_of_the_length_at_which_lists_agree_least() -> None:
    before, after = np.array([[0, 1, 2]]), np.array([[1, 3, 0]])
    places = np.zeros(1)
    found = beside(ranked(places, before, (1, 3)), ranked(places, after, (1, 3)))
    assert (found.top_k_overlap, found.worst_row) == (0, 0)
    assert beside(ranked(places, before, (3,)), ranked(places, after, (3,))).top_k_overlap == 2 / 3


def drifted(run: QualityRun, by: float) -> QualityRun:
    assert run.scores is not None
    return replace(run, scores=np.clip(run.scores + by, 0, 1).astype(np.float32))


def test_a_drift_of_probabilities_is_told_though_it_changes_no_order(
    scores: tuple[QualityRun, QualityRun],
) -> None:
    run = scores[0]
    same = compare_quality(run, run).calibration
    assert same is not None
    assert (same.shift, same.warning) == (0, "")
    assert same.ece[0] == same.ece[1] == run.metrics["ece"]
    small = compare_quality(run, drifted(run, 0.001)).calibration
    assert small is not None
    assert small.warning == ""
    moved = compare_quality(run, drifted(run, 0.1)).calibration
    assert moved is not None
    assert moved.warning.startswith("probabilities moved by +0.0")
    assert "calibrate it before it is used as a probability" in moved.warning


def test_probabilities_that_are_not_finite_are_told(scores: tuple[QualityRun, QualityRun]) -> None:
    run = scores[0]
    assert run.scores is not None
    bad = run.scores.copy()
    bad[0] = math.nan
    found = compare_quality(run, replace(run, scores=bad)).calibration
    assert found is not None
    assert found.interval is None
    assert found.warning.startswith("probabilities are not finite")


def test_rankings_have_no_calibration(lists: tuple[QualityRun, QualityRun]) -> None:
    assert compare_quality(*lists).calibration is None
