"""Kernels of states, the tensors that outlive a prediction: read_state, write_state, coreml_update_state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ExecutionError

Array = npt.NDArray[Any]


class State:
    """A tensor that a program reads and replaces; `value` is what it holds now."""

    __slots__ = ("value",)

    def __init__(self, value: Array) -> None:
        self.value = value


def read_state(input: State) -> Array:  # noqa: A002 - the op's own name
    """What the state holds."""
    return input.value


def _store(state: State, value: Array) -> Array:
    if np.shape(value) != np.shape(state.value):
        raise ExecutionError(
            f"value {list(np.shape(value))} does not fit a state {list(np.shape(state.value))}"
        )
    # A copy, because the value may be a view of the caller's own array.
    state.value = np.array(value)
    return state.value


def write_state(input: State, data: Array) -> tuple[Array, ...]:  # noqa: A002 - the op's own name
    """Writes a copy of `data` into the state; saved programs spell the update so."""
    _store(input, data)
    return ()


def coreml_update_state(state: State, value: Array) -> Array:
    """The `value` that the state holds from now on."""
    return _store(state, value)


KERNELS: dict[str, Callable[..., Any]] = {
    "coreml_update_state": coreml_update_state,
    "read_state": read_state,
    "write_state": write_state,
}
