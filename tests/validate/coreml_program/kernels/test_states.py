"""States: what is written is what is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.kernels import states as k


def floats(values: Any) -> Any:
    return np.array(values, dtype=np.float32)


def test_both_spellings_of_an_update_store_and_the_state_is_read_back() -> None:
    """coreml_update_state gives the value too, write_state has no outputs."""
    state = k.State(np.zeros(2, dtype=np.float32))
    np.testing.assert_array_equal(k.coreml_update_state(state, floats([1, 2])), [1, 2])
    assert k.write_state(state, floats([3, 4])) == ()
    np.testing.assert_array_equal(k.read_state(state), [3, 4])


def test_a_state_does_not_follow_its_source_and_keeps_its_shape() -> None:
    """The caller's array may change later; a value of another shape is refused."""
    state, source = k.State(np.zeros(2, dtype=np.float32)), floats([1, 2])
    k.write_state(state, source)
    source[0] = 9
    np.testing.assert_array_equal(k.read_state(state), [1, 2])
    with pytest.raises(ExecutionError, match=r"value \[3\] does not fit a state \[2\]"):
        k.coreml_update_state(state, np.zeros(3))


@given(st.lists(st.tuples(st.booleans(), st.integers(-99, 99)), max_size=8))
def test_a_state_holds_the_last_of_any_updates(updates: list[tuple[bool, int]]) -> None:
    """In either spelling and any order; what was read before does not change."""
    state, read = k.State(floats([0])), [(0, k.read_state(k.State(floats([0]))))]
    for saved, value in updates:
        (k.write_state if saved else k.coreml_update_state)(state, floats([value]))
        read.append((value, k.read_state(state)))
    assert all(float(array[0]) == value for value, array in read)
