"""Functions of numbers give PyTorch's own on both targets: at either zero, around it, and far out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

_SIZES = (0.0, 1e-20, 3e-7, 2e-5, 0.3, 1.0, 7.0, 14.0, 21.0, 80.0, 2e5, 1e19, math.inf)
POINTS = torch.tensor([*_SIZES, *(-each for each in _SIZES), math.nan])
EXAMPLE = torch.linspace(0.1, 0.9, len(POINTS))
# Every pair of these.
_ENDS = torch.tensor([0.0, -0.0, 2.0, -0.7, 3e-6, math.inf, -math.inf, math.nan])
PAIRS = torch.cartesian_prod(_ENDS, _ENDS)

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sign": torch.sign,
    "sgn": torch.sgn,
    "signbit": torch.signbit,
    "rsqrt": torch.rsqrt,
    "inverse_root": lambda x: x**-0.5,
    "root": lambda x: x**0.5,
    "inverse": lambda x: 1 / x,
    "normalized": lambda x: x * torch.rsqrt(x * x + 1e-6),
    "log1p": torch.log1p,
    "expm1": torch.expm1,
    "elu": lambda x: F.elu(x, 0.6),
    "selu": F.selu,
    "celu": lambda x: F.celu(x, 1.9),
    "softplus": lambda x: F.softplus(x, 1.4),
    "logsigmoid": F.logsigmoid,
    "mish": F.mish,
    "asinh": torch.asinh,
    "log_of_share": lambda x: torch.log(torch.sigmoid(x)),
    "log_of_moved_share": lambda x: torch.log(torch.sigmoid(x).reshape(-1, 1) + 1e-9),
    "over_share": lambda x: 2 / torch.sigmoid(x),
    "at_least": lambda x: x.clamp(min=-0.3),
    "at_most": lambda x: x.clamp(max=0.7),
    "remainder": lambda x: torch.remainder(x, -0.7),
    "divided_down": lambda x: torch.div(x, 0.7, rounding_mode="floor"),
    "root_of_square": lambda x: torch.sqrt(x**2),
    "over_root_of_square": lambda x: torch.square(x) ** -0.5,
    "square_of_root": lambda x: torch.sqrt(x) ** 2,
    "hidden": lambda x: torch.where(torch.arange(len(x)) % 2 == 0, -math.inf, torch.log(x)),
}
PAIRED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "atan2": torch.atan2,
    "hypot": torch.hypot,
    "copysign": torch.copysign,
    "remainder": torch.remainder,
    "fmod": torch.fmod,
    "divided_down": lambda x, y: torch.div(x, y, rounding_mode="floor"),
    "signed": lambda x, y: 1 / torch.copysign(x, y),
}


@pytest.fixture(scope="module", params=["export", "onnx"])
def computed(request: pytest.FixtureRequest, lowered: Callable[..., Any]) -> Any:
    (given,) = lowered(FUNCTIONS, EXAMPLE, [POINTS], request.param)
    return given


@pytest.fixture(scope="module", params=["export", "onnx"])
def paired(request: pytest.FixtureRequest, lowered: Callable[..., Any]) -> Any:
    functions = {name: lambda x, f=each: f(x[:, 0], x[:, 1]) for name, each in PAIRED.items()}
    (given,) = lowered(functions, torch.rand(PAIRS.shape) + 0.1, [PAIRS], request.param)
    return given


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_gives_pytorchs_number_on_both_targets(computed: Any, name: str) -> None:
    expected = FUNCTIONS[name](POINTS).float().numpy()
    np.testing.assert_allclose(computed[name], expected, rtol=2e-5, atol=1e-37)


@pytest.mark.parametrize("name", PAIRED)
def test_a_function_of_two_gives_pytorchs_number_on_both_targets(paired: Any, name: str) -> None:
    expected = PAIRED[name](PAIRS[:, 0], PAIRS[:, 1]).float().numpy()
    np.testing.assert_allclose(paired[name], expected, rtol=2e-5, atol=1e-37)


def test_the_test_fails_with_what_torch_onnx_writes(
    lowered: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pocketrec.convert.onnx import lower

    monkeypatch.setattr(lower, "number_table", dict)
    monkeypatch.setattr(lower, "exact_sigmoids", lambda graph: None)
    names = ("log1p", "expm1", "elu", "softplus", "log_of_share", "at_least", "remainder", "divided_down")
    chosen = {name: FUNCTIONS[name] for name in names}
    (given,) = lowered(chosen, EXAMPLE, [POINTS], "onnx")
    for name, function in chosen.items():
        expected = function(POINTS).numpy()
        assert not np.allclose(given[name], expected, rtol=2e-5, atol=1e-37, equal_nan=True), name
