"""Metrics are those of the definitions, and a NaN never ranks first."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pocketrec.errors import RecipeError
from pocketrec.validate.measure.ranking import (
    classification_metrics,
    rank_metrics,
    top_k_ids,
    top_k_overlap,
)


def test_hit_rate_and_gain_of_ranks_one_two_and_beyond() -> None:
    scores = np.array([[9, 1, 5], [9, 1, 5], [9, 1, 5]], np.float32)
    found = rank_metrics(scores, np.array([0, 2, 1]), 2)
    assert found["hr@2"] == pytest.approx(2 / 3)
    assert found["ndcg@2"] == pytest.approx((1 + 1 / math.log2(3)) / 3)


def test_equal_scores_are_ordered_by_id() -> None:
    scores = np.zeros((2, 3), np.float32)
    assert rank_metrics(scores, np.array([0, 1]), 1)["hr@1"] == 0.5
    assert top_k_ids(scores, 2).tolist() == [[0, 1], [0, 1]]


def test_a_nan_gives_nan_and_an_unranked_item_is_never_found() -> None:
    scores = np.array([[math.nan, 1.0]], np.float32)
    assert math.isnan(rank_metrics(scores, np.array([0]), 1)["ndcg@1"])
    masked = np.full((1, 3), -np.inf, np.float32)
    assert rank_metrics(masked, np.array([0]), 3)["hr@3"] == 0
    assert top_k_ids(masked, 2).tolist() == [[-1, -1]]


def test_overlap_is_the_share_of_both_lists() -> None:
    left, right = np.array([[1, 2], [3, 4]]), np.array([[2, 1], [3, 9]])
    assert top_k_overlap(left, right) == 0.75
    assert math.isnan(top_k_overlap(left[:0], right[:0]))


def test_auc_and_log_loss_of_probabilities_and_logits_agree() -> None:
    labels = np.array([0, 1, 1, 0], np.float32)
    logits = np.array([-1, 2, 0.5, 1], np.float32)
    left = classification_metrics(logits, labels, meaning="logit")
    probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
    right = classification_metrics(probabilities, labels, meaning="probability")
    assert left["auc"] == right["auc"] == 0.75
    assert left["log_loss"] == pytest.approx(right["log_loss"], abs=1e-6)


def test_labels_need_a_probability_and_a_nan_stays_one() -> None:
    labels = np.array([0, 1], np.float32)
    with pytest.raises(RecipeError, match="means 'score'"):
        classification_metrics(labels, labels, meaning="score")
    found = classification_metrics(np.array([math.nan, 1], np.float32), labels, meaning="logit")
    assert math.isnan(found["auc"])
    assert math.isnan(found["log_loss"])
