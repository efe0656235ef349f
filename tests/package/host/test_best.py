"""The k best of scores, and probabilities."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketrec.errors import CallError
from pocketrec.package.host.best import best, best_of, check_k, drawn, share, sigmoid, softmax, top_k


@pytest.mark.parametrize(
    ("scores", "k", "left_out", "expected"),
    [
        ([1.0, 3.0, 3.0, 2.0], 3, (), [1, 2, 3]),
        ([0.0, -0.0, 0.0], 3, (), [0, 1, 2]),
        ([5.0, 4.0, 3.0], 2, (0,), [1, 2]),
        ([5.0, -math.inf], 2, (), [0]),
        ([math.inf, 1.0], 1, (), [0]),
        ([1.0, 2.0], 9, (), [1, 0]),
        ([1.0], 0, (), []),
        ([], 3, (), []),
    ],
)
def test_the_best_come_first_and_of_equal_ones_the_lower_id(
    scores: list[float], k: int, left_out: tuple[int, ...], expected: list[int]
) -> None:
    assert top_k(scores, k, left_out) == expected


def test_a_score_that_is_not_a_number_is_an_error_also_where_it_would_not_be_listed() -> None:
    with pytest.raises(CallError, match="the score of id 2 is not a number") as error:
        top_k([3.0, 2.0, math.nan], 1, {2})
    assert error.value.code == "bad_score"


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, -0.0, 1.5, -2.0, math.inf, -math.inf, 7e-40]), max_size=12),
    st.integers(0, 14),
    st.sets(st.integers(0, 13)),
)
def test_an_array_of_scores_gives_what_a_look_at_each_gives(
    scores: list[float], k: int, left_out: set[int]
) -> None:
    array = np.array(scores, np.float32)
    assert best_of(array, k, left_out) == best(list(enumerate(array.tolist())), k, left_out)


def test_an_array_with_a_score_that_is_not_a_number_is_an_error() -> None:
    with pytest.raises(CallError, match="the score of id 1 is not a number"):
        best_of(np.array([3.0, math.nan, math.nan]), 1, {1})


@pytest.mark.parametrize("k", [-1, 1.0, True, "3", None])
def test_k_is_a_whole_number_from_0(k: object) -> None:
    assert check_k(0) == 0
    with pytest.raises(CallError, match="expected a whole number from 0") as error:
        check_k(k)
    assert error.value.code == "bad_k"


def test_probabilities_are_shares_of_what_is_not_left_out() -> None:
    found = softmax([9.0, math.log(1.0), math.log(3.0)], {0})
    assert found == pytest.approx([0.0, 0.25, 0.75])
    assert softmax([-1000.0, 1000.0], ()) == [0.0, 1.0]
    assert softmax([-math.inf, -math.inf], ()) == [0.0, 0.0]
    assert softmax([3.0], {0}) == [0.0]
    assert sigmoid(0.0) == 0.5
    assert sigmoid(math.log(3.0)) == pytest.approx(0.75)
    assert (sigmoid(-800.0), sigmoid(800.0)) == (0.0, 1.0)


def test_a_draw_falls_on_the_first_whose_cumulated_share_exceeds_it() -> None:
    chances = [0.5, 0.25, 0.0, 0.25]
    assert [drawn(chances, each, ()) for each in (0.0, 0.49, 0.5, 0.75, 0.999)] == [0, 0, 1, 3, 3]
    assert drawn(chances, 0.0, {0}) == 1
    assert drawn(chances, 0.5, {0}) == 3
    assert drawn([0.0, 0.0], 0.5, ()) is None
    assert share(chances, 1, {0}) == 0.5
    assert share([0.0], 0, ()) == 0.0
