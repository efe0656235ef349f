"""Two tensors element by element: against coremltools' value inference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name everywhere in MIL
from coremltools.converters.mil.mil import Function, types
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.kernels import elementwise_binary as k


def floats(values: Any) -> Any:
    return np.array(values, dtype=np.float32)


NUMERIC = sorted(set(k.KERNELS) - {"logical_and", "logical_or", "logical_xor"})


def inferred(op_type: str, x: Any, y: Any) -> Any:
    """What coremltools' value inference gives for an op on constants."""
    with Function({"unused": mb.placeholder(shape=(1,), dtype=types.fp32)}):
        return getattr(mb, op_type)(x=x, y=y).val


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(NUMERIC), st.integers(0, 2**32 - 1), st.booleans())
def test_arithmetic_and_comparison_agree_with_value_inference(op: str, seed: int, integer: bool) -> None:
    """Broadcast floats and integers of both signs give what value inference gives."""
    rng = np.random.default_rng(seed)
    x: Any = rng.integers(-9, 9, (3, 1, 4)).astype(np.int32)
    y: Any = rng.integers(1, 5, (2, 4)).astype(np.int32)
    if not integer:
        x, y = x.astype(np.float32) + (10 if op == "pow" else 0), y.astype(np.float32) - 5.5
    found = np.asarray(k.KERNELS[op](x=x, y=y))
    expected = np.asarray(inferred(op, x, y))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.astype(expected.dtype), expected, rtol=1e-6)


@pytest.mark.parametrize("op", ["logical_and", "logical_or", "logical_xor"])
def test_logic_agrees_with_value_inference(op: str) -> None:
    """All four pairs of truth values."""
    x, y = np.array([[True], [False]]), np.array([True, False])
    np.testing.assert_array_equal(k.KERNELS[op](x=x, y=y), inferred(op, x, y))


@pytest.mark.parametrize("op", ["real_div", "floor_div", "mod"])
def test_an_integer_divided_by_zero_is_an_error(op: str) -> None:
    """The place is named; a float divided by zero is inf or NaN instead."""
    with pytest.raises(ExecutionError, match=r"y is 0 at \[1\]"):
        k.KERNELS[op](x=np.array([4, 4]), y=np.array([2, 0]))
    with np.errstate(all="ignore"):
        assert not np.isfinite(k.KERNELS[op](x=floats([4]), y=floats([0])))[0]


def test_integers_wrap_and_negative_powers_truncate() -> None:
    """int32 stays int32 beyond its bound; 2 to the power of -1 is a half, which the executor truncates."""
    top = np.array([2**31 - 1], dtype=np.int32)
    assert k.add(top, np.ones(1, dtype=np.int32))[0] == -(2**31)
    assert k.pow(np.array([2], dtype=np.int32), np.array([-1], dtype=np.int32))[0] == 0.5
