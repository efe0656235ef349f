"""Ranking: against a stable sort."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.kernels import ordering as k


def floats(values: Any) -> Any:
    return np.array(values, dtype=np.float32)


def expected_places(x: Any, count: int, ascending: bool) -> Any:
    keys = x.astype(np.float64)
    return np.argsort(keys if ascending else -keys, axis=-1, kind="stable")[..., :count]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 999),
    st.sampled_from([7, 8_192, 20_003]),
    st.sampled_from([np.float32, np.int32, np.uint16, np.int8]),
    st.sampled_from([3, 50, 10**6]),
    st.integers(1, 5),
    st.booleans(),
)
def test_topk_is_the_start_of_a_stable_sort(
    seed: int, width: int, dtype: Any, spread: int, count: int, ascending: bool
) -> None:
    """In narrow and wide rows, of any type, with few and with many ties: the lower index comes first."""
    rng = np.random.default_rng(seed)
    limits = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else None
    low, high = (limits.min, min(limits.max, limits.min + spread)) if limits else (-spread, spread)
    x = rng.integers(low, high, (2, width)).astype(dtype)
    values, places = k.topk(x, count, -1, ascending)
    np.testing.assert_array_equal(places, expected_places(x, count, ascending))
    np.testing.assert_array_equal(values, np.take_along_axis(x, places, axis=-1))


def test_topk_of_equal_scores_and_of_nan() -> None:
    """A wide row of zeros gives the first indices; NaN never outranks a number."""
    x = np.zeros(10_000, dtype=np.float32)
    np.testing.assert_array_equal(k.topk(x, 3)[1], [0, 1, 2])
    x[0] = np.nan
    np.testing.assert_array_equal(k.topk(x, 3)[1], [1, 2, 3])


def test_topk_along_another_axis_all_of_it_and_without_indices() -> None:
    """-1 takes all; the axis stays where it was."""
    x = floats([[1, 5], [3, 4]])
    values, places = k.topk(x, -1, 0)
    np.testing.assert_array_equal(values, [[3, 5], [1, 4]])
    np.testing.assert_array_equal(places, [[1, 0], [0, 1]])
    np.testing.assert_array_equal(k.topk(x, 1, return_indices=False), [[5], [4]])


def test_topk_in_uint16_wraps_and_too_many_are_refused() -> None:
    """Item 69,999 becomes 4,463 where the program declares uint16."""
    x = np.zeros(70_000, dtype=np.float32)
    x[-1] = 1
    assert k.topk(x, 1, output_indices_dtype="uint16")[1][0] == 4_463
    assert k.topk(x, 1)[1][0] == 69_999
    with pytest.raises(ExecutionError, match=r"k 3 is outside 0\.\.2"):
        k.topk(x[:2], 3)


@pytest.mark.parametrize("ascending", [True, False])
def test_argsort_is_stable_in_both_directions(ascending: bool) -> None:
    """Equal values keep the order of their indices, and the smallest integer does not overflow."""
    x = np.array([[2, -(2**31), 2, 0]], dtype=np.int32)
    np.testing.assert_array_equal(k.argsort(x, -1, ascending), expected_places(x, 4, ascending))
    assert k.argsort(x).dtype == np.int32
