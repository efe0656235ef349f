"""The lists that a report shows: of those that kept least, without padding, with the end of the history."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.evaluation import RankingData
from pocketrec.recipe import Evaluate
from pocketrec.validate.measure.ranking import QualityRun
from pocketrec.validate.measure.user_lists import user_lists

USERS, LONG = 5, 12


@pytest.fixture
def contract() -> Contract:
    history = Feature(
        name="history", kind="id_sequence", dtype="int32", shape=("batch", 8), vocabulary="item"
    )
    scores = Output(name="scores", meaning="score", dtype="float32", shape=("batch", 40), vocabulary="item")
    return Contract(
        dims={"batch": Dim(min=1, max=8)},
        vocabularies={"item": VocabularySpec(size=40, sha256="0" * 64, padding_id=0)},
        functions={"main": Signature(inputs=(history,), outputs=(scores,))},
    )


@pytest.fixture
def evaluate() -> Evaluate:
    return Evaluate(data="x", kind="ranking", function="main", output="scores", k=LONG)


@pytest.fixture
def data() -> RankingData:
    history = np.zeros((USERS, 8), np.int64)
    history[:, 1:] = np.arange(1, 8)
    history[3] = [0, 0, 0, 0, 0, 0, 0, 9]
    return RankingData(inputs={"history": history}, positives=np.ones(USERS, np.int64))


def run(lists: np.ndarray, rows: np.ndarray | None = None) -> QualityRun:
    return QualityRun(metrics={}, examples=len(lists), top_k=lists, ks=(lists.shape[1],), rows=rows)


@pytest.fixture
def lists() -> np.ndarray:
    return np.tile(np.arange(1, LONG + 1), (USERS, 1))


def test_those_that_kept_least_come_first_and_then_those_in_another_order(
    lists: np.ndarray, contract: Contract, evaluate: Evaluate, data: RankingData
) -> None:
    after = lists.copy()
    after[3, :2] = (20, 21)
    after[1, :2] = after[1, 1::-1]
    found = user_lists(run(lists), run(after), evaluate, contract, data)
    assert [(each.row, each.overlap) for each in found] == [(3, 0.8), (1, 1.0), (0, 1.0)]
    assert found[0].after == (20, 21, *range(3, 11))
    assert found[0].before == tuple(range(1, 11))
    assert (found[0].vocabulary, found[0].history_vocabulary) == ("item", "item")
    assert found[0].history == (9,)  # the rest is padding
    assert found[1].history == (3, 4, 5, 6, 7)


def test_places_that_no_item_fills_are_left_out(
    lists: np.ndarray, contract: Contract, evaluate: Evaluate, data: RankingData
) -> None:
    short = lists.copy()
    short[:, 4:] = -1
    (first, *_) = user_lists(run(short), run(short), evaluate, contract, data)
    assert first.before == first.after == (1, 2, 3, 4)


def test_rows_of_a_sample_are_told_by_their_number_in_the_whole(
    lists: np.ndarray, contract: Contract, evaluate: Evaluate, data: RankingData
) -> None:
    rows = np.array([3, 4])
    first, second = user_lists(run(lists[:2], rows), run(lists[:2], rows), evaluate, contract, data)
    assert (first.row, first.history) == (3, (9,))
    assert second.row == 4


def test_labels_have_no_lists(contract: Contract, evaluate: Evaluate, data: RankingData) -> None:
    run_of_labels = QualityRun(metrics={"auc": 0.5}, examples=3)
    assert user_lists(run_of_labels, run_of_labels, evaluate, contract, data) == ()


def test_without_a_sequence_there_is_no_history(
    lists: np.ndarray, contract: Contract, evaluate: Evaluate, data: RankingData
) -> None:
    main = contract.functions["main"]
    user = replace(main.inputs[0], name="user", kind="id", shape=("batch",))
    other = replace(contract, functions={"main": replace(main, inputs=(user,))})
    (first, *_) = user_lists(run(lists), run(lists), evaluate, other, data)
    assert (first.history, first.history_vocabulary) == ((), "")
