"""Evaluation data say what is wrong with them when they are made, and can be made of plain lists."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from pocketrec.contract import Feature, Output, Signature
from pocketrec.errors import DataError
from pocketrec.evaluation import ClassificationData, RankingData, column_of, sample_for


def test_what_nobody_has_seen_can_be_left_out() -> None:
    data = RankingData(inputs={"history": [[1, 2], [3, 4]]}, positives=[5, 6])  # type: ignore[dict-item,arg-type]
    assert (data.seen(0).tolist(), data.seen(1).tolist()) == ([], [])
    assert data.catalogue == {}
    assert data.positives.dtype == np.int64
    assert [len(each) for each in data.parts(1)] == [1, 1]


def test_plain_lists_are_padded_and_cut_as_said() -> None:
    data = RankingData.from_lists(
        inputs={"history": [[1, 2, 3], [4], []], "age": [20.5, 30, 40]},
        positives=[7, 8, 9],
        seen=[[1, 2], [], [5]],
    )
    assert data.inputs["history"].tolist() == [[1, 2, 3], [0, 0, 4], [0, 0, 0]]
    assert data.inputs["age"].tolist() == [20.5, 30, 40]
    assert [data.seen(user).tolist() for user in range(3)] == [[1, 2], [], [5]]
    right = RankingData.from_lists(
        inputs={"history": [[1, 2, 3], [4]]}, positives=[7, 8], length=2, padding_id=9, padding_side="right"
    )
    assert right.inputs["history"].tolist() == [[2, 3], [4, 9]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seen_offsets": [0, 1]}, r"seen_offsets: 2 entries for 3 users; expected 4"),
        ({"seen_ids": [1, 2]}, r"seen_offsets: 0 entries for 3 users; expected 4"),
        ({"seen_ids": [1, 2], "seen_offsets": [1, 1, 2, 2]}, r"seen_offsets: from 1 to 2; expected 0 to 2"),
        ({"seen_ids": [1, 2], "seen_offsets": [0, 1, 1, 1]}, r"seen_offsets: from 0 to 1; expected 0 to 2"),
        (
            {"seen_ids": [1, 2], "seen_offsets": [0, 2, 1, 2]},
            r"seen_offsets: user 1 begins at 2 and ends at 1; expected offsets that never decrease",
        ),
        ({"ignored_ids": (-1,)}, r"ignored_ids: -1 is no id; expected 0 or more"),
        ({"positives": [1, 2.5, 3]}, r"positives: entry 1 is 2\.5; expected whole numbers"),
        ({"positives": ["a", "b", "c"]}, r"positives: holds <U1; expected numbers"),
        ({"positives": [[1], [2], [3]]}, r"positives: shape \[3, 1\]; expected one axis"),
        (
            {"inputs": {"x": [[1], [2, 3], [4]]}},
            r"evaluation input x: its rows are of different lengths; pad them to one, as RankingData",
        ),
        ({"inputs": {"x": [1, 2]}}, r"evaluation input x: 2 rows, but positives has 3"),
        ({"inputs": {"x": 1.0}}, r"evaluation input x: no rows, but positives has 3"),
        ({"positives": []}, r"evaluation data has no examples \(positives is empty\)"),
        (
            {"catalogue": {"a": [1, 2], "b": [1]}},
            r"evaluation catalogue input b: 1 rows, but its first",
        ),
    ],
)
def test_what_does_not_fit_is_named(given: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"inputs": {"x": [1, 2, 3]}, "positives": [4, 5, 6]}
    RankingData(**good)
    with pytest.raises(DataError, match=message):
        RankingData(**(good | given))


@pytest.mark.parametrize(
    "rows",
    [
        [[0.5, 1], [1, 0]],
        [(0.5,), (1,)],
        [np.array([0.5, 1]), np.array([1, 2])],
        [[[1, 2], [3, 4]], [[5, 6], [7, 8]]],
    ],
)
def test_the_numbers_of_a_feature_are_no_ids_and_stay_as_they_are(rows: Any) -> None:
    """Whatever the length of the histories beside them is."""
    data = RankingData.from_lists(
        inputs={"history": [[1, 2, 3], [4]], "taste": rows}, positives=[7, 8], length=5
    )
    assert data.inputs["history"].shape == (2, 5)
    assert data.inputs["taste"].tolist() == [np.asarray(each).tolist() for each in rows]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0.5, 1], [1]], r"x: row 0 is of shape \[2\], row 1 of \[1\]; pass as many numbers in each row"),
        ([[], [0.5]], r"x: row 0 is of shape \[0\], row 1 of \[1\]; pass as many"),
        ([[[1, 2]], [[1, 2], [3, 4]]], r"x: row 0 is of shape \[1, 2\], row 1 of \[2, 2\]"),
        ([[[1, 2], [3]], [[1, 2], [3]]], r"x: row 0 holds lists of several lengths; pass as many numbers"),
        ([[1, 2], 3], r"x: row 1 is 3, and others are lists; expected lists alone"),
        ([3, [1, 2]], r"x: row 0 is 3, and others are lists"),
        ([[1, float("nan")], [2, 3]], r"x: entry 1 is nan; expected whole numbers"),
        ([["a"], ["b"]], r"x: holds <U1; expected numbers"),
        (["ab", "c"], r"x: holds <U2; expected numbers"),
    ],
)
def test_a_list_of_neither_ids_nor_numbers_of_a_feature_is_refused(rows: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        RankingData.from_lists(inputs={"x": rows}, positives=[1, 2])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"length": 0}, "length is 0; expected a whole number from 1"),
        ({"length": -1}, "length is -1; expected a whole number from 1"),
        ({"length": 2.5}, "length is 2.5; expected a whole number from 1"),
        ({"padding_side": "Left"}, "padding_side is 'Left'; expected 'left' or 'right'"),
        ({"seen": [[1], None]}, "seen: entry 1 is None; expected a list of ids"),
        ({"seen": [1, 2]}, "seen: entry 0 is 1; expected a list of ids"),
    ],
)
def test_what_lists_cannot_be_made_of_is_refused(given: dict[str, Any], message: str) -> None:
    """A side that is none would else be the right one."""
    with pytest.raises(DataError, match=re.escape(message)):
        RankingData.from_lists(inputs={"x": [[1], [2]]}, positives=[1, 2], **given)


def test_lists_of_another_number_are_named() -> None:
    with pytest.raises(DataError, match=r"seen: 1 lists for 2 users; expected one each, or none"):
        RankingData.from_lists(inputs={"x": [1, 2]}, positives=[1, 2], seen=[[1]])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 5], r"labels: row 2 is 5; expected 0 or 1"),
        ([0, 0.5, 1], r"labels: row 1 is 0\.5; expected 0 or 1"),
        ([[0], [1], [1]], r"labels: shape \[3, 1\]; expected one number per example"),
        ([0, 1], r"evaluation input x: 3 rows, but labels has 2"),
    ],
)
def test_labels_are_zeros_and_ones(labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ClassificationData(inputs={"x": np.ones(3)}, labels=labels)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"positives": None}, "positives is a NoneType; expected a list or an array of whole numbers"),
        ({"positives": 3}, "positives is a int; expected a list or an array"),
        ({"ignored_ids": 5}, "ignored_ids is a int; expected a list or an array"),
        ({"inputs": None}, "evaluation inputs are a NoneType; expected a dict of arrays by input name"),
        ({"inputs": [[1], [2]]}, "evaluation inputs are a list; expected a dict of arrays"),
        ({"catalogue": [1]}, "evaluation catalogue inputs are a list; expected a dict"),
        ({"columns": [1]}, "columns are a list; expected a dict of arrays by name"),
        (
            {"columns": {"c": [1]}},
            r"column c: int64 of shape \[1\]; expected a number or a text for each",
        ),
        ({"columns": {"c": [[1], [2]]}}, r"column c: int64 of shape \[2, 1\]; expected a number or a text"),
        ({"columns": {"c": [None, 2]}}, "column c: object of shape"),
        ({"catalogue": {"a": [1, 2], "b": [1]}}, "catalogue input b: 1 rows, but its first input has 2"),
    ],
)
def test_an_argument_of_another_type_is_named(changed: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"inputs": {"x": [[1], [2]]}, "positives": [1, 2]} | changed
    with pytest.raises(DataError, match=message):
        RankingData(**given)


def test_no_catalogue_and_sets_of_ids_are_taken() -> None:
    given: dict[str, Any] = {"inputs": {"x": [[1], [2]]}, "positives": [1, 2]}
    given |= {"catalogue": None, "ignored_ids": {2, 0}}
    data = RankingData(**given)
    assert (data.catalogue, data.ignored_ids) == ({}, (0, 2))


def test_columns_are_cut_with_the_rows() -> None:
    data = RankingData.from_lists(
        inputs={"x": [1, 2, 3]}, positives=[4, 5, 6], columns={"land": ["a", "b", "c"], "n": [1.0, 2.0, 3.0]}
    )
    parts = list(data.parts(2))
    assert [part.columns["land"].tolist() for part in parts] == [["a", "b"], ["c"]]
    assert column_of(parts[1], "n").tolist() == [3]
    assert column_of(parts[0], "x").tolist() == [1, 2]
    with pytest.raises(DataError, match="no column 'y' of one value per example; there are: land, n, x"):
        column_of(data, "y")
    ones = np.ones(3, np.float32)
    labels = ClassificationData(inputs={"x": ones}, labels=ones, columns={"u": np.arange(3)})
    assert [part.columns["u"].tolist() for part in labels.parts(2)] == [[0, 1], [2]]


def test_a_function_takes_rows_of_the_data_that_have_its_inputs() -> None:
    def labels(name: str) -> ClassificationData:
        return ClassificationData(inputs={name: np.arange(3)}, labels=np.array([0, 1, 0], np.float32))

    def function(*names: str) -> Signature:
        inputs = tuple(Feature(name=name, kind="dense", dtype="float32", shape=("batch",)) for name in names)
        return Signature(inputs=inputs, outputs=(Output(name="p", meaning="probability", shape=("batch",)),))

    data = [labels("a"), labels("b")]
    assert list(sample_for(function("b"), data).inputs) == ["b"]
    assert list(sample_for(function("a", "b"), data).inputs) == ["a"], "neither has all"
