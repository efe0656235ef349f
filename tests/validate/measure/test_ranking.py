"""What one model reached: lists and places by the same order, and a NaN never ranks first."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pocketrec.errors import RecipeError
from pocketrec.validate.measure.metrics.ranks import places_of
from pocketrec.validate.measure.ranking import (
    classification_metrics,
    lower_is_better,
    probabilities,
    ranking_metrics,
    top_k_ids,
)


def metrics(scores: np.ndarray, items: list[int], *ks: int) -> dict[str, float]:
    return ranking_metrics(places_of(scores, np.array(items)), names=("hr", "ndcg"), ks=ks)


def test_hit_rate_and_gain_of_ranks_one_two_and_beyond() -> None:
    scores = np.array([[9, 1, 5], [9, 1, 5], [9, 1, 5]], np.float32)
    found = metrics(scores, [0, 2, 1], 2)
    assert found["hr@2"] == pytest.approx(2 / 3)
    assert found["ndcg@2"] == pytest.approx((1 + 1 / math.log2(3)) / 3)


def test_several_lengths_give_each_metric_at_each() -> None:
    scores = np.array([[9, 1, 5], [9, 1, 5]], np.float32)
    found = metrics(scores, [2, 1], 1, 2)
    assert list(found) == ["hr@1", "ndcg@1", "hr@2", "ndcg@2"]
    assert (found["hr@1"], found["hr@2"]) == (0, 0.5)


def test_equal_scores_are_ordered_by_id() -> None:
    scores = np.zeros((2, 3), np.float32)
    assert metrics(scores, [0, 1], 1)["hr@1"] == 0.5
    assert top_k_ids(scores, 2).tolist() == [[0, 1], [0, 1]]


def test_a_nan_gives_nan_and_an_unranked_item_is_never_found() -> None:
    scores = np.array([[math.nan, 1.0]], np.float32)
    assert math.isnan(metrics(scores, [0], 1)["ndcg@1"])
    masked = np.full((1, 3), -np.inf, np.float32)
    assert metrics(masked, [0], 3)["hr@3"] == 0
    assert top_k_ids(masked, 2).tolist() == [[-1, -1]]


def test_metrics_of_probabilities_and_logits_agree() -> None:
    labels = np.array([0, 1, 1, 0], np.float32)
    logits = np.array([-1, 2, 0.5, 1], np.float32)
    names = ("auc", "log_loss", "gauc", "ece", "adaptive_ece")
    users = np.array(["a", "a", "b", "b"])
    left = classification_metrics(logits, labels, meaning="logit", names=names, users=users)
    given = probabilities(logits, "logit").astype(np.float32)
    right = classification_metrics(given, labels, meaning="probability", names=names, users=users)
    assert left["auc"] == right["auc"] == 0.75
    assert left["gauc"] == right["gauc"] == 0.5
    for name in names:
        assert left[name] == pytest.approx(right[name], abs=1e-6)


def test_labels_need_a_probability_and_a_nan_stays_one() -> None:
    labels = np.array([0, 1], np.float32)
    with pytest.raises(RecipeError, match="means 'score'"):
        classification_metrics(labels, labels, meaning="score")
    found = classification_metrics(np.array([math.nan, 1], np.float32), labels, meaning="logit")
    assert math.isnan(found["auc"])
    assert math.isnan(found["log_loss"])


def test_a_loss_and_a_calibration_error_are_better_when_they_are_smaller() -> None:
    names = ("hr@10", "ndcg@5", "auc", "gauc", "log_loss", "ece", "adaptive_ece")
    assert [name for name in names if lower_is_better(name)] == ["log_loss", "ece", "adaptive_ece"]
