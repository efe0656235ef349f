"""Functions of numbers give PyTorch's own on Core ML: at 0, around 0, far out, and with options."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pocketrec
from pocketrec.convert.coreml import numbers, ops
from pocketrec.errors import Refused

POINTS = torch.tensor(
    [
        *(0.0, 1e-40, 3e-30, 2e-12, -2e-12, 5e-7, -5e-7, 1e-4, -1e-4, 0.02, -0.02, 0.4, -0.4, 1.0, -1.0),
        *(1.5, 2.5, -2.5, 7.0, -7.0, 12.0, -12.0, 40.0, -40.0, 87.0, -87.0, 500.0, -500.0, 1e4, -1e4),
        *(1e9, -1e9, 1e19, -1e19, 3e38, -3e38),
    ]
)
EXAMPLE = torch.linspace(0.1, 0.9, len(POINTS))

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "log": torch.log,
    "log2": torch.log2,
    "log10": torch.log10,
    "log1p": torch.log1p,
    "expm1": torch.expm1,
    "rsqrt": torch.rsqrt,
    "reciprocal": torch.reciprocal,
    "inverse_root": lambda x: x**-0.5,
    "inverse": lambda x: x**-1,
    "cube": lambda x: x**3,
    "gelu": F.gelu,
    "gelu_by_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "selu": F.selu,
    "elu": lambda x: F.elu(x, 1.7),
    "celu": lambda x: F.celu(x, 0.3),
    "softplus": lambda x: F.softplus(x, 2.0, 5.0),
    "mish": F.mish,
    "at_least": lambda x: x.clamp(min=-0.3),
    "at_most": lambda x: x.clamp(max=0.7),
    "between": lambda x: x.clamp(-0.3, 0.7),
    "crossed": lambda x: x.clamp(0.7, -0.3),
    "cleaned": lambda x: torch.nan_to_num(torch.log(x), 3.5, neginf=-9.0),
    "cleaned_to_ends": lambda x: torch.nan_to_num(x * x * 1e30),
    "remainder": lambda x: torch.remainder(x, -2.7),
    "never": lambda x: x.masked_fill(x > 0.2, -math.inf),
    "line": lambda x: x + torch.linspace(-2, 2, len(POINTS)),
}
# PyTorch's own vectorized kernel overflows where the function does not.
PLAIN = {"gelu": POINTS.abs() < 1e38, "gelu_by_tanh": POINTS.abs() < 1e38}


@pytest.fixture(scope="module", params=["export", "trace"])
def computed(request: pytest.FixtureRequest, lowered: Callable[..., Any]) -> Any:
    (given,) = lowered(FUNCTIONS, EXAMPLE, [POINTS], request.param)
    return given


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_gives_pytorchs_number_everywhere(computed: Any, name: str) -> None:
    compared = PLAIN.get(name, torch.ones(len(POINTS), dtype=torch.bool))
    expected = FUNCTIONS[name](POINTS)[compared].numpy()
    np.testing.assert_allclose(computed[name][compared.numpy()], expected, rtol=2e-5, atol=1e-37)


def test_infinities_stay_or_are_cut_as_in_pytorch(lowered: Callable[..., Any]) -> None:
    names = ("at_least", "at_most", "between", "log1p", "expm1", "reciprocal", "cleaned_to_ends")
    chosen = {name: FUNCTIONS[name] for name in names}
    ends = torch.tensor([math.inf, -math.inf, 1.0])
    (given,) = lowered(chosen, torch.rand(3), [ends], "export")
    for name, function in chosen.items():
        np.testing.assert_allclose(given[name], function(ends).numpy(), rtol=1e-5)


def test_the_test_of_numbers_fails_with_coremltools_own_lowerings(
    lowered: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in numbers.NUMBER_LOWERINGS:
        monkeypatch.delitem(ops.LOWERINGS, name)
    chosen = {name: FUNCTIONS[name] for name in ("log", "rsqrt", "log1p", "gelu_by_tanh")}
    (given,) = lowered(chosen, EXAMPLE, [POINTS], "export")
    for name, function in chosen.items():
        assert not np.allclose(given[name], function(POINTS).numpy(), rtol=2e-5, atol=0, equal_nan=True)


class Smoothed(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return F.interpolate(image, size=(3, 5), mode="bilinear", antialias=True)


def test_what_core_ml_has_not_is_refused_with_op_line_and_reason(tmp_path: Path) -> None:
    line = Smoothed.forward.__code__.co_firstlineno + 1
    with pytest.raises(Refused) as caught:
        pocketrec.convert_module(Smoothed().eval(), torch.rand(2, 1, 6, 9), tmp_path, targets=("coreml",))
    said = str(caught.value)
    assert said.startswith("_upsample_bilinear2d_aa at ")
    assert f"test_numbers.py:{line}" in said
    assert "antialias" in said


class Prior(nn.Module):
    """What a convolution divides, is divided by, and multiplies."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv1d(3, 5, 2)
        self.register_buffer("prior", torch.rand(1, 5, 1) + 0.5)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        y = self.conv(x) + 4
        return 2.5 / self.conv(x.abs() + 9), self.prior / y, y / self.prior, y * 3


def test_a_constant_over_a_convolution_is_not_the_convolution(tmp_path: Path) -> None:
    module = Prior().eval()
    found = pocketrec.convert_module(module, torch.rand(2, 3, 6), tmp_path, targets=("coreml",))
    x = torch.rand(2, 3, 6) - 0.5
    with pocketrec.open(found.artifacts["coreml"]) as artifact, torch.no_grad():
        given = artifact.run({found.inputs[0]: x.numpy()})
        for name, expected in zip(found.outputs, module(x), strict=True):
            np.testing.assert_allclose(np.asarray(given[name], np.float32), expected.numpy(), rtol=1e-4)
