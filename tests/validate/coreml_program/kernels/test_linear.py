"""Matrix products: against PyTorch and coremltools' value inference."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name everywhere in MIL
from coremltools.converters.mil.mil import Function, types
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.kernels import linear as k

sizes = st.integers(1, 4)
HALF = SimpleNamespace(accumulation="float16", output_types=(SimpleNamespace(dtype="float16"),))


def drawn(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).standard_normal(shape, dtype=np.float32)


@given(sizes, sizes, sizes, st.booleans())
def test_linear_agrees_with_torch(n: int, columns: int, rows: int, biased: bool) -> None:
    """With and without bias, for tensors of three axes."""
    x, weight, bias = drawn(2, n, columns), drawn(rows, columns), drawn(rows) if biased else None
    expected = torch.nn.functional.linear(
        torch.tensor(x), torch.tensor(weight), None if bias is None else torch.tensor(bias)
    )
    np.testing.assert_allclose(k.linear(x, weight, bias), expected, rtol=1e-5, atol=1e-6)


@settings(deadline=None)
@given(sizes, sizes, sizes, st.booleans(), st.booleans())
def test_matmul_agrees_with_torch(n: int, inner: int, m: int, turn_x: bool, turn_y: bool) -> None:
    """Batch axes broadcast; either side may come transposed."""
    x, y = drawn(3, 1, n, inner), drawn(2, inner, m)
    expected = torch.matmul(torch.tensor(x), torch.tensor(y))
    left = x.swapaxes(-1, -2) if turn_x else x
    right = y.swapaxes(-1, -2) if turn_y else y
    np.testing.assert_allclose(k.matmul(left, right, turn_x, turn_y), expected, rtol=1e-5, atol=1e-6)


def test_vectors_multiply_and_misfits_are_named() -> None:
    """A vector on the left loses its axis; shapes that do not multiply are in the message."""
    np.testing.assert_allclose(k.matmul(drawn(3), drawn(3, 2)), drawn(3) @ drawn(3, 2), rtol=1e-6)
    with pytest.raises(ExecutionError, match=r"x \[2, 3\] and y \[2, 3\] do not multiply"):
        k.matmul(drawn(2, 3), drawn(2, 3))
    with pytest.raises(ExecutionError, match=r"x \[2, 3\] does not fit weight \[5, 4\]"):
        k.linear(drawn(2, 3), drawn(5, 4))


@pytest.mark.parametrize("equation", ["nchw,nwhu->nchu", "abcd,adce->abce", "chw,whr->chr"])
def test_einsum_agrees_with_value_inference(equation: str) -> None:
    """Both equations under any letters, with an axis of size 1 that broadcasts."""
    rank = len(equation.split(",")[0])
    x, y = drawn(2, 3, 1, 4)[4 - rank :], drawn(2, 4, 5, 6)[4 - rank :]
    if rank == 3:
        x, y = x.reshape(-1, 1, 4)[:3], y[0]
    with Function({"unused": mb.placeholder(shape=(1,), dtype=types.fp32)}):
        expected = mb.einsum(values=[x, y], equation=equation).val
    np.testing.assert_allclose(k.einsum([x, y], equation), expected, rtol=1e-5, atol=1e-6)


def test_einsum_refuses_other_equations() -> None:
    """Core ML knows two."""
    with pytest.raises(ExecutionError, match="equation 'ij,jk->ik' is not known"):
        k.einsum([drawn(2, 2), drawn(2, 2)], "ij,jk->ik")


def test_float16_accumulation_loses_what_float16_cannot_hold() -> None:
    """2,048 + 1 is 2,048 in float16, so ones added one by one stop there; float32 goes on."""
    ones = np.ones((1, 4096), dtype=np.float32)
    assert k.matmul(ones, ones.T, op=HALF)[0, 0] == 2048
    assert k.linear(ones, ones)[0, 0] == 4096
    np.testing.assert_allclose(k.matmul(drawn(3), drawn(3), op=HALF), drawn(3) @ drawn(3), rtol=1e-2)
