"""Metrics are those of the definitions, and a NaN never ranks first."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.errors import DataError, RecipeError
from pocketrec.evaluation import RankingData
from pocketrec.recipe import Evaluate
from pocketrec.validate.ranking import (
    classification_metrics,
    compare_quality,
    quality_of,
    rank_metrics,
    scores_of,
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


def test_seen_and_ignored_items_leave_the_list(fake: Any, contract: Contract, evaluate: Evaluate) -> None:
    inputs = {"history": np.full((1, 6), 3, np.int32), "age": np.zeros((1, 1), np.float32)}
    scores = fake().run(inputs)["scores"][0]
    best = np.argsort(-scores)
    data = RankingData(
        inputs=inputs,
        positives=best[2:3].astype(np.int64),
        seen_ids=best[:2].astype(np.int64),
        seen_offsets=np.array([0, 2]),
        catalogue={},
        ignored_ids=(0,),
    )
    found = quality_of(evaluate, contract, {"main": fake()}, data)
    assert found.metrics["ndcg@10"] == 1
    assert found.top_k is not None
    assert not {0, *best[:2]} & set(found.top_k[0].tolist())


def test_a_worse_artifact_is_seen_in_metrics_and_overlap(
    fake: Any, contract: Contract, data: RankingData, evaluate: Evaluate
) -> None:
    def spoil(outputs: dict[str, Any]) -> dict[str, Any]:
        return outputs | {"scores": -outputs["scores"]}

    reference = quality_of(evaluate, contract, {"main": fake()}, data)
    same = compare_quality(reference, quality_of(evaluate, contract, {"main": fake()}, data))
    assert same.top_k_overlap == 1
    assert same.examples == 20
    worse = compare_quality(reference, quality_of(evaluate, contract, {"main": fake(spoil=spoil)}, data))
    assert worse.top_k_overlap is not None
    assert worse.top_k_overlap < 0.3


def test_top_k_ids_rank_as_listed(fake: Any, contract: Contract, data: RankingData) -> None:
    evaluate = Evaluate(data="x:y", kind="ranking", output="best_ids", k=3)
    scores = scores_of(evaluate, contract, {"main": fake()}, data)
    np.testing.assert_array_equal(top_k_ids(scores, 3), fake().run(data.inputs)["best_ids"])


class Echo:
    """Gives its only input back under another name."""

    def __init__(self, source: str, target: str) -> None:
        self.source, self.target = source, target

    def describe(self) -> Any:
        class Nothing:
            inputs = ()

        return Nothing()

    def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {self.target: inputs[self.source]}


def test_embeddings_meet_the_catalogue_and_a_missing_catalogue_is_an_error() -> None:
    def side(name: str) -> Signature:
        feature = Feature(name=name, kind="dense", dtype="float32", shape=("batch", 2))
        return Signature(
            inputs=(feature,), outputs=(Output(name=f"{name}_out", meaning="embedding", shape=("batch", 2)),)
        )

    contract = Contract(
        functions={"user": side("u"), "item": side("i")},
        dims={"batch": Dim(max=4)},
        vocabularies={"item": VocabularySpec(size=5)},
    )
    users, items = np.eye(2, dtype=np.float32), np.arange(10, dtype=np.float32).reshape(5, 2)
    evaluate = Evaluate(
        data="x:y",
        kind="ranking",
        function="user",
        output="u_out",
        catalogue_function="item",
        catalogue_output="i_out",
    )
    fields: dict[str, Any] = {
        "inputs": {"u": users},
        "positives": np.array([1, 2]),
        "seen_ids": np.zeros(0, np.int64),
        "seen_offsets": np.zeros(3, np.int64),
    }
    runtimes: Any = {"user": Echo("u", "u_out"), "item": Echo("i", "i_out")}
    found = scores_of(evaluate, contract, runtimes, RankingData(catalogue={"i": items}, **fields))
    np.testing.assert_array_equal(found, items.T)
    with pytest.raises(DataError, match="no catalogue"):
        scores_of(evaluate, contract, runtimes, RankingData(catalogue={}, **fields))


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
