"""Evaluation data that say something else than the contract are refused with row and key."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.errors import DataError
from pocketrec.evaluation import ClassificationData, RankingData
from pocketrec.recipe import Evaluate
from pocketrec.source.contradictions import check_data, conformed

ITEMS, USERS, LENGTH = 30, 40, 6
EVALUATE = Evaluate(data="x:y", kind="ranking", output="scores")


def contract(**changed: Any) -> Contract:
    history: dict[str, Any] = {"padding_side": "left", "out_of_vocabulary": "padding"} | changed
    padding = history.pop("padding_id", 0)
    feature = Feature(name="history", kind="id_sequence", shape=("batch", "n"), vocabulary="item", **history)
    age = Feature(name="age", kind="dense", dtype="float32", shape=("batch",))
    out = Output(name="scores", meaning="score", shape=("batch", ITEMS), vocabulary="item")
    return Contract(
        functions={"main": Signature(inputs=(feature, age), outputs=(out,))},
        dims={"batch": Dim(max=8), "n": Dim(max=LENGTH)},
        vocabularies={"item": VocabularySpec(size=ITEMS, padding_id=padding)},
    )


def histories(side: str = "left", padding: int = 0) -> np.ndarray[Any, Any]:
    """Rows of 1 to 6 different ids, filled up on one side."""
    rng = np.random.default_rng(2)
    rows = np.full((USERS, LENGTH), padding)
    for number, row in enumerate(rows):
        count = 1 + number % LENGTH
        place = slice(LENGTH - count, LENGTH) if side == "left" else slice(count)
        row[place] = rng.choice(np.arange(1, ITEMS - 1), count, replace=False)
    return rows


def data(**changed: Any) -> RankingData:
    inputs = {"history": histories(), "age": np.linspace(0, 1, USERS)} | changed.pop("inputs", {})
    given = {"inputs": inputs, "positives": np.arange(USERS) % (ITEMS - 1) + 1} | changed
    return RankingData(**given)


def test_data_that_agree_leave_nothing_to_say() -> None:
    assert check_data(data(), contract(), EVALUATE) == ()
    right = data(inputs={"history": histories("right")})
    assert check_data(right, contract(padding_side="right"), EVALUATE) == ()


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_the_other_side_names_row_and_key(side: Any) -> None:
    other = {"left": "right", "right": "left"}[side]
    wrong = data(inputs={"history": histories(other)})
    message = (
        rf"input history: padding stands on the {other} in 34 of 34 padded rows, such as row 0, and the "
        rf"contract says padding_side = '{side}'; set padding_side = '{other}', or correct the data"
    )
    with pytest.raises(DataError, match=message):
        check_data(wrong, contract(padding_side=side), EVALUATE)


def test_a_few_rows_that_end_in_padding_are_said() -> None:
    """Such as those whose last item the data's author did not know."""
    rows = histories()
    rows[5, -1] = 0
    (note,) = check_data(data(inputs={"history": rows}), contract(), EVALUATE)
    assert note == "history: 1 of 35 padded rows are padded on the right, such as row 5"


@pytest.mark.parametrize(("filled", "said"), [(29, 0), (0, 29), (0, 7)])
def test_rows_that_another_id_fills_name_the_right_padding_id(filled: int, said: int) -> None:
    wrong = data(inputs={"history": histories(padding=filled)}, ignored_ids=())
    message = (
        rf"rows are filled with id {filled}, such as row 0, and the contract says padding_id = {said}; "
        rf"set contract\.vocabularies\.item\.padding_id = {filled}, or correct the data"
    )
    with pytest.raises(DataError, match=message):
        check_data(wrong, contract(padding_id=said), EVALUATE)


def test_what_the_guard_makes_padding_is_padding() -> None:
    check_data(data(inputs={"history": histories(padding=-1)}), contract(), EVALUATE)
    wrong = data(inputs={"history": histories("right", padding=-1)})
    with pytest.raises(DataError, match="padding stands on the right"):
        check_data(wrong, contract(), EVALUATE)


def test_full_rows_and_constant_rows_say_nothing_of_padding() -> None:
    full = np.stack([np.arange(each, each + LENGTH) % (ITEMS - 1) + 1 for each in range(USERS)])
    for rows in (full, np.full((USERS, LENGTH), 4)):
        (note,) = check_data(data(inputs={"history": rows}), contract(), EVALUATE)
        assert note.startswith("padding_side of history was not checked")


def every(value: int) -> np.ndarray[Any, Any]:
    return np.tile(np.setdiff1d(np.arange(ITEMS), [0, value]), USERS)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"positives": [3] * 39 + [0]}, r"held-out item of row 39 is 0, which ignored_ids names as no item"),
        ({"positives": [3] * 39 + [30]}, r"held-out item 30 of row 39 is not among the 30 items"),
        ({"positives": [-1] + [3] * 39}, r"held-out item -1 of row 0 is not among the 30 items"),
        (
            {"seen_ids": [4, 31], "seen_offsets": [0] * 8 + [1] * 8 + [2] * 25},
            r"seen item 31 of row 15 is not among the 30 items; expected ids from 0 to 29",
        ),
        (
            {"ignored_ids": [*range(3), *range(4, 30)], "positives": [3] * 40},
            r"row 0 has no item to rank",
        ),
        (
            {"seen_ids": every(3), "seen_offsets": np.arange(USERS + 1) * 28, "positives": [3] * 40},
            r"row 0 has no item to rank besides its held-out one: seen_ids and ignored_ids leave out all",
        ),
    ],
)
def test_ids_that_cannot_be_ranked_name_their_row(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_data(data(**changed), contract(), EVALUATE)


def test_one_item_to_rank_against_is_enough() -> None:
    few = np.tile(np.arange(1, ITEMS - 2), USERS)
    rows = data(seen_ids=few, seen_offsets=np.arange(USERS + 1) * 27, positives=[3] * USERS)
    assert check_data(rows, contract(), EVALUATE) == ()


def test_an_item_that_is_never_ranked_is_said() -> None:
    (note,) = check_data(data(positives=[3] * USERS, ignored_ids=(0, 7)), contract(), EVALUATE)
    assert note.startswith("never ranked: 7 of vocabulary item, by ignored_ids")


def test_an_id_without_a_guard_must_be_in_its_vocabulary() -> None:
    rows = histories()
    rows[33, 5] = 44
    check_data(data(inputs={"history": rows}), contract(), EVALUATE)
    with pytest.raises(DataError, match=r"input history, row 33: id 44 is not among the 30 of vocabulary"):
        check_data(data(inputs={"history": rows}), contract(out_of_vocabulary="forbid"), EVALUATE)


def test_an_output_without_a_vocabulary_is_said_not_to_be_checked() -> None:
    known = contract()
    bare = replace(known.functions["main"].outputs[0], vocabulary=None)
    signature = replace(known.functions["main"], outputs=(bare,))
    (note,) = check_data(data(), replace(known, functions={"main": signature}), EVALUATE)
    assert note.startswith("output scores names no vocabulary: its items were not compared with tokens")
    assert note.endswith("and apps get its numbers, no items")


def test_labels_of_one_kind_are_no_test() -> None:
    inputs = {"history": histories(), "age": np.ones(USERS)}
    one = ClassificationData(inputs=inputs, labels=np.ones(USERS, np.float32))
    with pytest.raises(DataError, match="every label is 1; AUC needs both 0 and 1"):
        check_data(one, contract(), replace(EVALUATE, kind="classification"))


def repeated(different: int) -> RankingData:
    """As many different users as that, again and again."""
    chosen = np.arange(USERS) % different
    whole = data()
    inputs = {name: each[chosen] for name, each in whole.inputs.items()}
    return data(inputs=inputs, positives=whole.positives[chosen])


def test_the_same_few_rows_again_are_no_more_evidence() -> None:
    check_data(repeated(10), contract(), EVALUATE)
    with pytest.raises(DataError, match="40 rows, of which 9 differ; the same rows again are no more"):
        check_data(repeated(9), contract(), EVALUATE)


def two_towers() -> tuple[Contract, Evaluate]:
    item = Feature(name="item", kind="id", shape=("batch",), vocabulary="item")
    vector = Output(name="vector", meaning="embedding", shape=("batch", 4))
    user = replace(contract().functions["main"], outputs=(replace(vector, name="user"),))
    both = {"main": user, "items": Signature(inputs=(item,), outputs=(vector,))}
    evaluate = replace(EVALUATE, output="user", catalogue_function="items", catalogue_output="vector")
    return replace(contract(), functions=both), evaluate


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (np.arange(29), r"the catalogue has 29 rows for the 30 ids of vocabulary 'item'"),
        (np.roll(np.arange(30), 1), r"row 1 of the catalogue is item 0; expected one row per id, in their"),
    ],
)
def test_a_catalogue_of_another_order_or_length_is_named(items: Any, message: str) -> None:
    known, evaluate = two_towers()
    assert check_data(data(catalogue={"item": np.arange(30)}), known, evaluate) == ()
    with pytest.raises(DataError, match=message):
        check_data(data(catalogue={"item": items}), known, evaluate)


def test_numbers_are_taken_over_where_the_contracts_dtype_holds_them() -> None:
    made = conformed(data(), contract(), EVALUATE)
    assert {name: str(each.dtype) for name, each in made.inputs.items()} == {
        "history": "int32",
        "age": "float32",
    }


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("age", 1e300, r"input age, row 17 holds 1e\+300, which float32 cannot hold"),
        ("history", 2**40, r"input history, row 17 holds 1099511627776, which int32 cannot hold"),
    ],
)
def test_a_number_that_the_dtype_cannot_hold_names_its_row(name: str, value: Any, message: str) -> None:
    given = {"history": histories().astype(np.int64), "age": np.linspace(0, 1, USERS)}
    given[name].reshape(USERS, -1)[17, 0] = value
    with pytest.raises(DataError, match=message):
        conformed(data(inputs=given), contract(), EVALUATE)


@pytest.mark.parametrize(
    ("given", "came", "expected"),
    [
        (np.ones((USERS, LENGTH + 1), int), "[7]", "[1 to 6]"),
        (np.ones(USERS, int), "[]", "[1 to 6]"),
        (np.ones((USERS, LENGTH, 2), int), "[6, 2]", "[1 to 6]"),
        (np.ones((USERS, 0), int), "[0]", "[1 to 6]"),
    ],
)
def test_rows_of_another_shape_than_the_contracts_are_named(given: Any, came: str, expected: str) -> None:
    with pytest.raises(DataError) as caught:
        check_data(data(inputs={"history": given}), contract(), EVALUATE)
    assert f"input history has rows of shape {came}; expected {expected}, as shape = ['batch', 'n']" in str(
        caught.value
    )
