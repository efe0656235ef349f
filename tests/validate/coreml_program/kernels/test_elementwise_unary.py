"""One tensor element by element: against coremltools' value inference and the standard library."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name everywhere in MIL
from coremltools.converters.mil.mil import Function, types
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.kernels import elementwise_unary as k


def floats(values: Any) -> Any:
    return np.array(values, dtype=np.float32)


PLAIN = sorted(set(k.KERNELS) - {"cast", "clip", "logical_not", "threshold"})


def inferred(op_type: str, **inputs: Any) -> Any:
    """What coremltools' value inference gives for an op on constants."""
    with Function({"unused": mb.placeholder(shape=(1,), dtype=types.fp32)}):
        return getattr(mb, op_type)(**inputs).val


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(PLAIN), hnp.arrays(np.float32, (3, 5), elements=st.floats(0.0625, 0.9375, width=32)))
def test_functions_agree_with_value_inference(op: str, x: Any) -> None:
    """Inside every function's domain, with the default epsilon where there is one."""
    np.testing.assert_allclose(k.KERNELS[op](x=x), inferred(op, x=x), rtol=2e-6, atol=1e-7)


def test_erf_is_within_a_few_roundings_of_the_standard_library() -> None:
    """Over the whole range, the tails that are 1 to the last bit included."""
    x = np.linspace(-6, 6, 20_001, dtype=np.float32)
    expected = np.array([math.erf(each) for each in x])
    np.testing.assert_allclose(k.erf(x), expected, rtol=1e-6)


def test_round_takes_halves_to_the_even_neighbour() -> None:
    """0.5, 1.5 and 2.5 become 0, 2 and 2."""
    np.testing.assert_array_equal(k.KERNELS["round"](x=floats([0.5, 1.5, 2.5])), [0, 2, 2])


def test_bounds_hold_and_logic_negates() -> None:
    """clip has two bounds, threshold a lower one."""
    x = floats([-2, 0.5, 9])
    np.testing.assert_array_equal(k.clip(x, -1, 3), [-1, 0.5, 3])
    np.testing.assert_array_equal(k.threshold(x, 0), [0, 0.5, 9])
    np.testing.assert_array_equal(k.KERNELS["logical_not"](x=np.array([True, False])), [False, True])


def test_epsilon_is_added_before_the_function() -> None:
    """inverse, log and rsqrt stay finite at zero."""
    zero = np.zeros(1, dtype=np.float32)
    np.testing.assert_allclose(k.inverse(zero, 0.5), [2.0])
    np.testing.assert_allclose(k.log(zero, 1.0), [0.0])
    np.testing.assert_allclose(k.rsqrt(zero, 0.25), [2.0])


@given(hnp.arrays(np.float32, 8, elements=st.floats(-1e6, 1e6, width=32)), st.sampled_from([8, 16]))
def test_cast_truncates_then_wraps(x: Any, bits: int) -> None:
    """A float becomes the integer nearest to zero, of which the low bits stay."""
    whole = np.array([int(each) for each in x])
    np.testing.assert_array_equal(k.cast(x, f"uint{bits}"), whole % 2**bits)
    half = 2 ** (bits - 1)
    np.testing.assert_array_equal(k.cast(x, f"int{bits}"), (whole + half) % 2**bits - half)


def test_cast_reproduces_the_uint16_hazard() -> None:
    """Item 69,999 becomes 4,463 in uint16, and stays in int32."""
    assert k.cast(np.array([69_999], dtype=np.int32), "uint16")[0] == 4_463
    assert k.cast(np.array([69_999], dtype=np.float32), "int32")[0] == 69_999


def test_cast_of_what_no_integer_holds_and_of_an_unknown_type() -> None:
    """Infinity becomes a bound of int32, NaN 0; bool is what is not zero; other types are refused."""
    np.testing.assert_array_equal(
        k.cast(floats([np.inf, -np.inf, np.nan, 1.9]), "int32"), [2**31 - 1, -(2**31), 0, 1]
    )
    np.testing.assert_array_equal(k.cast(floats([0, -0.5]), "bool"), [False, True])
    with pytest.raises(ExecutionError, match="dtype 'fp8' is not known"):
        k.cast(floats([1]), "fp8")
