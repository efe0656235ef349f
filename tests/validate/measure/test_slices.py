"""Every example is in the slice that the recipe's words say, wherever the data is cut."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pocketrec.contract import Contract
from pocketrec.errors import DataError
from pocketrec.evaluation import ClassificationData, RankingData
from pocketrec.recipe import Evaluate
from pocketrec.recipe.measures import Slice
from pocketrec.validate.measure import slices
from pocketrec.validate.measure.slices import divide, facts_of


def members(evaluate: Evaluate, contract: Contract, data: RankingData, name: str) -> dict[str, list[int]]:
    (found,) = [each for each in facts_of(evaluate, contract, data).divisions if each.name == name]
    return {label: np.flatnonzero(found.places == i).tolist() for i, label in enumerate(found.labels)}


def test_cold_users_have_had_few_items_by_history_or_by_what_is_left_out(
    contract: Contract, data: RankingData, evaluate: Evaluate
) -> None:
    history = data.inputs["history"].copy()
    history[0] = 0
    history[1] = [0, 0, 0, 7, 8, 9]
    history[2] = 0
    seen = replace(
        data,
        inputs={**data.inputs, "history": history},
        seen_ids=np.arange(1, 7),
        seen_offsets=np.array([0, 0, 0, *[6] * 18]),
    )
    evaluate = replace(evaluate, slices={"users": Slice(by="history")})
    found = members(evaluate, contract, seen, "users")
    assert found == {"cold": [0, 1], "warm": list(range(2, 20))}


def test_head_items_are_the_most_popular_share_of_those_that_anybody_has_had(
    contract: Contract, data: RankingData, evaluate: Evaluate
) -> None:
    positives = np.array([1] * 8 + [2] * 6 + [3] * 3 + [4, 5, 6])
    data = replace(data, positives=positives)
    evaluate = replace(
        evaluate, slices={"items": Slice(by="popularity", edges=(0.3,), names=("head", "tail"))}
    )
    assert members(evaluate, contract, data, "items") == {
        "head": list(range(14)),
        "tail": list(range(14, 20)),
    }


def test_a_column_is_cut_at_its_edges_or_by_its_values(
    contract: Contract, data: RankingData, evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "_PART", 7)
    ages, lands = np.arange(20.0), np.array(["de", "fr"] * 9 + ["", "fr"])
    ages[19] = math.nan
    data = replace(data, columns={"years": ages, "land": lands})
    asked = {"age": Slice(by="years", edges=(5, 10)), "land": Slice(by="land")}
    evaluate = replace(evaluate, slices=asked)
    assert members(evaluate, contract, data, "age") == {
        "under 5": [0, 1, 2, 3, 4],
        "5 to 10": [5, 6, 7, 8, 9],
        "from 10": list(range(10, 19)),
        "no value": [19],
    }
    found = members(evaluate, contract, data, "land")
    assert found["no value"] == [18]
    assert found["de"] == list(range(0, 18, 2))
    facts = facts_of(evaluate, contract, data)
    taken = facts.take(np.array([19, 0]))
    assert [each.places.tolist() for each in taken.divisions] == [[3, 0], [2, 1]]


def test_an_input_of_one_number_per_row_is_a_column(
    contract: Contract, data: RankingData, evaluate: Evaluate
) -> None:
    evaluate = replace(evaluate, slices={"age": Slice(by="age", edges=(0,))})
    found = members(evaluate, contract, data, "age")
    assert found["under 0"] == np.flatnonzero(data.inputs["age"].astype(float)[:, 0] < 0).tolist()


def test_facts_count_users_per_item_and_what_can_be_listed(
    contract: Contract, data: RankingData, evaluate: Evaluate
) -> None:
    facts = facts_of(evaluate, contract, data)
    assert facts.counts is not None
    assert facts.counts.sum() == facts.users == 20
    assert facts.items == 39  # 40 of the vocabulary, less padding


@pytest.mark.parametrize(
    ("asked", "columns", "words"),
    [
        (Slice(by="land"), {}, "no column 'land' of one value per example; there are: age"),
        (Slice(by="n"), {"n": np.arange(60)}, "'n' has 60 values, 50 at most; give edges"),
        (Slice(by="t", edges=(1,)), {"t": np.array(["a"] * 60)}, "'t' holds texts; leave edges out"),
    ],
)
def test_what_cannot_be_cut_is_an_error(
    contract: Contract, evaluate: Evaluate, asked: Slice, columns: dict[str, np.ndarray], words: str
) -> None:
    inputs = {"history": np.ones((60, 6), np.int32), "age": np.zeros((60, 1), np.float32)}
    data = RankingData(inputs=inputs, positives=np.ones(60, np.int64), columns=columns)
    with pytest.raises(DataError, match=words):
        facts_of(replace(evaluate, slices={"x": asked}), contract, data)


def test_whole_numbers_are_slices_in_their_order() -> None:
    found = divide("n", Slice(by="n"), np.array([10, 9, 10, -1]))
    assert (found.labels, found.places.tolist()) == (("-1", "9", "10"), [2, 1, 2, 0])


def test_labels_have_slices_and_no_popularity(contract: Contract, evaluate: Evaluate) -> None:
    data = ClassificationData(
        inputs={"history": np.ones((4, 6), np.int32)},
        labels=np.ones(4, np.float32),
        columns={"n": np.arange(4)},
    )
    asked = replace(evaluate, kind="classification", slices={"n": Slice(by="n", edges=(2,))})
    facts = facts_of(asked, contract, data)
    assert facts.divisions[0].places.tolist() == [0, 0, 1, 1]
    assert (facts.counts, facts.items) == (None, None)
