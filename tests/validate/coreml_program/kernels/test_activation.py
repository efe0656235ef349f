"""Activations: against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.kernels import activation as k


def floats(values: Any) -> Any:
    return np.array(values, dtype=np.float32)


Torch = Callable[[torch.Tensor], torch.Tensor]
SLOPES = floats([0.1, 0.2, 0.5])

# By op type: inputs beyond x, and what PyTorch computes.
PEERS: list[tuple[str, dict[str, Any], Torch]] = [
    ("clamped_relu", {"alpha": 0.1, "beta": 2.0}, lambda x: F.leaky_relu(x, 0.1).clamp(max=2.0)),
    ("elu", {"alpha": 0.7}, lambda x: F.elu(x, 0.7)),
    ("gelu", {}, F.gelu),
    ("gelu", {"mode": "TANH_APPROXIMATION"}, lambda x: F.gelu(x, approximate="tanh")),
    ("gelu", {"mode": "SIGMOID_APPROXIMATION"}, lambda x: x * torch.sigmoid(1.702 * x)),
    ("leaky_relu", {"alpha": 0.2}, lambda x: F.leaky_relu(x, 0.2)),
    ("linear_activation", {"alpha": 2.0, "beta": 1.0}, lambda x: 2 * x + 1),
    ("prelu", {"alpha": SLOPES}, lambda x: F.prelu(x, torch.tensor(SLOPES))),
    ("relu", {}, F.relu),
    ("relu6", {}, F.relu6),
    ("scaled_tanh", {"alpha": 1.5, "beta": 0.5}, lambda x: 1.5 * torch.tanh(0.5 * x)),
    ("sigmoid", {}, torch.sigmoid),
    ("sigmoid_hard", {"alpha": 1 / 6, "beta": 0.5}, F.hardsigmoid),
    ("silu", {}, F.silu),
    ("softmax", {"axis": 1}, lambda x: F.softmax(x, 1)),
    ("softplus", {}, lambda x: F.softplus(x, threshold=1e9)),
    ("softsign", {}, F.softsign),
    ("thresholded_relu", {"alpha": 1.0}, lambda x: torch.where(x >= 1, x, 0.0)),
]


@settings(max_examples=10, deadline=None)
@pytest.mark.parametrize(("op", "inputs", "peer"), PEERS, ids=[each[0] for each in PEERS])
@given(hnp.arrays(np.float32, (2, 3, 4), elements=st.floats(-50, 50, width=32)))
def test_activations_agree_with_torch(op: str, inputs: dict[str, Any], peer: Torch, x: Any) -> None:
    """Over both signs, far into the tails."""
    found = k.KERNELS[op](x=x, **inputs)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, peer(torch.tensor(x)), rtol=1e-4, atol=1e-6)


def test_every_activation_is_compared() -> None:
    """The list above names each kernel, save the one with a test of its own."""
    assert {each[0] for each in PEERS} | {"softplus_parametric"} == set(k.KERNELS)


def test_softplus_parametric_has_its_numbers_per_channel() -> None:
    """Axis 1 carries alpha and beta."""
    x = np.linspace(-3, 3, 24, dtype=np.float32).reshape(2, 3, 4)
    found = k.softplus_parametric(x, SLOPES, SLOPES + 1)
    scale, slope = SLOPES.reshape(1, 3, 1), SLOPES.reshape(1, 3, 1) + 1
    np.testing.assert_allclose(found, scale * np.log(1 + np.exp(slope * x)), rtol=1e-4)


def test_softmax_of_a_masked_row_and_of_large_values() -> None:
    """Large values do not overflow; a row of -inf only is NaN, as in PyTorch; the input is left alone."""
    x = floats([[1e4, 1e4], [-np.inf, -np.inf]])
    with np.errstate(invalid="ignore"):
        found = k.softmax(x)
    np.testing.assert_array_equal(found[0], [0.5, 0.5])
    assert np.isnan(found[1]).all()
    assert x[0, 0] == 1e4


def test_gelu_refuses_a_mode_that_it_does_not_know() -> None:
    """The three that exist are named."""
    with pytest.raises(ExecutionError, match="mode 'FAST' is not known; expected EXACT"):
        k.gelu(np.zeros(1, dtype=np.float32), "FAST")
