"""Branches, loops and lists, with blocks played by plain functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.kernels import control_flow as k


def floats(values: Any) -> Any:
    return np.array(values, dtype=np.float32)


class Blocks:
    """An op whose nested blocks are functions."""

    def __init__(self, *blocks: Callable[..., tuple[Any, ...]]) -> None:
        self.blocks = blocks

    def run_block(self, index: int, args: Sequence[Any]) -> tuple[Any, ...]:
        return self.blocks[index](*args)


@pytest.mark.parametrize(("pred", "expected"), [(np.array(True), 1), (np.array([False]), 2)])
def test_cond_runs_one_of_its_blocks(pred: Any, expected: int) -> None:
    """The first where the predicate holds, the second where not."""
    assert k.cond(pred, op=Blocks(lambda: (1,), lambda: (2,))) == (expected,)


@pytest.mark.parametrize(("start", "expected"), [(0, (5, 10)), (7, (7, 0))])
def test_while_loop_runs_its_body_until_the_condition_fails(start: int, expected: tuple[int, int]) -> None:
    """Both variables move on together; a condition that fails at once leaves them as they were."""
    blocks = Blocks(lambda i, _: (np.array(i < 5),), lambda i, total: (i + 1, total + i))
    assert k.while_loop([start, 0], op=blocks) == expected


def test_select_broadcasts_all_three() -> None:
    """A column of conditions chooses between a row and a scalar."""
    cond = np.array([[True], [False]])
    np.testing.assert_array_equal(k.select(cond, np.array([1, 2]), np.array(9)), [[1, 2], [9, 9]])


def test_lists_grow_where_they_may_and_keep_their_past() -> None:
    """Writing gives a new list; the old one does not change, and gaps read as zeros."""
    empty = k.make_list([np.int32(2)], 1, True)
    grown = k.list_write(empty, np.int32(2), floats([5, 6]))
    assert [int(k.list_length(each)) for each in (empty, grown)] == [1, 3]
    np.testing.assert_array_equal(k.list_read(grown, 2), [5, 6])
    np.testing.assert_array_equal(k.list_gather(grown, np.array([2, 0])), [[5, 6], [0, 0]])


def test_scatter_writes_slices_and_gather_reads_them_back() -> None:
    """In any order; nothing gathered keeps the element's shape."""
    ls = k.list_scatter(k.make_list([2], 3, False), np.array([2, 0]), floats([[1, 2], [3, 4]]))
    np.testing.assert_array_equal(k.list_gather(ls, np.array([0, 2])), [[3, 4], [1, 2]])
    assert k.list_gather(ls, np.array([], dtype=np.int32)).shape == (0, 2)
    with pytest.raises(ExecutionError, match="value holds 1 elements for 2 indices"):
        k.list_scatter(ls, np.array([0, 1]), floats([[1, 2]]))


def test_a_list_of_fixed_length_has_bounds() -> None:
    """Reading and writing outside name index and length, also from the front."""
    ls = k.make_list(np.array([2]), 2, False)
    for index in (2, -1):
        with pytest.raises(ExecutionError, match=f"index {index} is outside a list of 2 elements"):
            k.list_read(ls, index)
        with pytest.raises(ExecutionError, match=f"index {index} is outside a list of 2 elements"):
            k.list_write(ls, index, np.zeros(2))


def test_an_element_of_unknown_shape_must_be_written_first() -> None:
    """A size that is a name says nothing until a value comes."""
    ls = k.make_list(["is0", np.int32(2)], 1)
    with pytest.raises(ExecutionError, match="element 0 was never written"):
        k.list_read(ls, 0)
    assert k.list_read(k.list_write(ls, 1, np.zeros((4, 2))), 0).shape == (4, 2)


writes = st.lists(st.tuples(st.integers(0, 6), st.integers(-9, 9)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 4), writes)
def test_a_growing_list_behaves_as_pythons(length: int, changes: list[tuple[int, int]]) -> None:
    """Any sequence of writes, against a list that is padded with zeros; earlier lists keep their length."""
    ls, model = k.make_list([1], length, True), [0] * length
    for index, value in changes:
        before, had = ls, len(model)
        ls = k.list_write(ls, np.int32(index), floats([value]))
        model += [0] * (index + 1 - len(model))
        model[index] = value
        assert int(k.list_length(before)) == had
    assert int(k.list_length(ls)) == len(model)
    assert [float(k.list_read(ls, place)[0]) for place in range(len(model))] == model


@settings(max_examples=60, deadline=None)
@given(st.integers(-20, 20), st.integers(1, 9), st.integers(-20, 20))
def test_a_loop_counts_as_pythons(start: int, step: int, end: int) -> None:
    """The variables after the loop are those of the same `while`."""
    blocks = Blocks(lambda i, _: (np.array(i < end),), lambda i, total: (i + step, total + i))
    i, total = start, 0
    while i < end:
        i, total = i + step, total + i
    assert k.while_loop([start, 0], op=blocks) == (i, total)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 999), st.sampled_from([(2, 3), (1, 3), (2, 1), ()]), st.sampled_from([(2, 3), (3,), ()])
)
def test_select_agrees_with_torch(seed: int, first: tuple[int, ...], second: tuple[int, ...]) -> None:
    """Of any shapes that broadcast."""
    rng = np.random.default_rng(seed)
    cond, a, b = rng.random(first) < 0.5, rng.random(second), rng.random((2, 3))
    expected = torch.where(*(torch.tensor(each) for each in (cond, a, b)))
    np.testing.assert_array_equal(k.select(np.asarray(cond), a, b), expected)
