"""Reducing axes: against coremltools' value inference."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name everywhere in MIL
from coremltools.converters.mil.mil import Function, types
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.kernels import reduction as k


def floats(values: Any) -> Any:
    return np.array(values, dtype=np.float32)


HALF = SimpleNamespace(accumulation="float16", output_types=(SimpleNamespace(dtype="float16"),))
WITH_AXES = sorted(set(k.KERNELS) - {"reduce_argmax", "reduce_argmin"})
SUMS = sorted(set(WITH_AXES) - {"reduce_max", "reduce_min", "reduce_prod"})


def drawn(seed: int) -> Any:
    return np.random.default_rng(seed).uniform(0.5, 2.0, (2, 3, 4)).astype(np.float32)


def inferred(op_type: str, **inputs: Any) -> Any:
    """What coremltools' value inference gives for an op on constants."""
    with Function({"unused": mb.placeholder(shape=(1,), dtype=types.fp32)}):
        return getattr(mb, op_type)(**inputs).val


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(WITH_AXES),
    st.integers(0, 99),
    st.sampled_from([None, [0], [-1], [0, 2], [1, -1]]),
    st.booleans(),
)
def test_reductions_agree_with_value_inference(op: str, seed: int, axes: Any, keep: bool) -> None:
    """Any axes, of either sign, kept or not."""
    given_axes = {} if axes is None else {"axes": np.array(axes, dtype=np.int32)}
    x = drawn(seed)
    expected = inferred(op, x=x, keep_dims=keep, **given_axes)
    found = k.KERNELS[op](x=x, keep_dims=keep, **given_axes)
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("op", ["reduce_argmax", "reduce_argmin"])
@pytest.mark.parametrize("keep", [True, False])
def test_places_agree_with_value_inference(op: str, keep: bool) -> None:
    """The first of equal extremes, axis kept or not."""
    x = floats([[1, 3, 3], [0, 0, 2]])
    np.testing.assert_array_equal(
        k.KERNELS[op](x=x, axis=1, keep_dims=keep), inferred(op, x=x, axis=1, keep_dims=keep)
    )


def test_places_wrap_in_uint16_and_other_types_are_refused() -> None:
    """Item 69,999 becomes 4,463 in uint16."""
    x = np.zeros(70_000, dtype=np.float32)
    x[-1] = 1
    assert k.reduce_argmax(x, output_dtype="uint16") == 4_463
    assert k.reduce_argmax(x) == 69_999
    with pytest.raises(ExecutionError, match="output_dtype 'int8' is not known"):
        k.reduce_argmax(x, output_dtype="int8")


def test_sums_of_int32_wrap_and_axes_must_exist() -> None:
    """The dtype stays int32; an axis beyond the rank is named."""
    top = np.array([2**31 - 1, 1], dtype=np.int32)
    assert k.reduce_sum(top) == -(2**31)
    with pytest.raises(ExecutionError, match=r"axes \[2\] do not exist in a tensor of rank 1"):
        k.reduce_sum(top, np.array([2]))


def test_log_sum_exp_neither_overflows_nor_loses_minus_infinity() -> None:
    """1,000 stays 1,000 and log(2) more of two; of nothing but -inf the result is -inf."""
    np.testing.assert_allclose(k.reduce_log_sum_exp(floats([1000, 1000])), 1000 + np.log(2))
    with np.errstate(divide="ignore"):
        assert k.reduce_log_sum_exp(floats([-np.inf, -np.inf])) == -np.inf


@pytest.mark.parametrize("op", SUMS)
@pytest.mark.parametrize("keep", [True, False])
def test_float16_accumulation_keeps_the_shape_and_stays_near(op: str, keep: bool) -> None:
    """Rounded partial sums differ from float32 by float16 noise only, on any axes."""
    x, axes = drawn(1), np.array([0, 2], dtype=np.int32)
    found = k.KERNELS[op](x=x, axes=axes, keep_dims=keep, op=HALF)
    expected = k.KERNELS[op](x=x, axes=axes, keep_dims=keep)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=2e-2)


def test_float16_accumulation_stops_where_float16_does() -> None:
    """Ones added one by one stay at 2,048."""
    assert k.reduce_sum(np.ones(4096, dtype=np.float32), op=HALF) == 2048
