"""Complex layers are computed in real numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pocketrec.convert.rewrite import complex_numbers
from pocketrec.convert.rewrite.complex_numbers import Pair, RealModule, uses_complex
from pocketrec.errors import Refused

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(4, 10, 6, generator=GENERATOR)


class Filter(nn.Module):
    """A learnable filter in the frequency domain, its complex weights stored as real pairs."""

    def __init__(self, length: int) -> None:
        super().__init__()
        shape = (1, length // 2 + 1, 6, 2)
        self.weight = nn.Parameter(torch.randn(shape, generator=GENERATOR))

    def forward(self, x: Tensor) -> Any:
        spectrum = torch.fft.rfft(x, dim=1, norm="ortho") * torch.view_as_complex(self.weight)
        return torch.fft.irfft(spectrum, n=x.shape[1], dim=1, norm="ortho")


class Recurrence(nn.Module):
    """A diagonal linear recurrence with complex eigenvalues and projections, unrolled."""

    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(6, 8).to(torch.cfloat)
        self.out = nn.Linear(8, 6).to(torch.cfloat)
        self.size = nn.Parameter(torch.rand(8, generator=GENERATOR))
        self.angle = nn.Parameter(torch.rand(8, generator=GENERATOR))

    def forward(self, x: Tensor) -> Any:
        eigenvalue = torch.exp(torch.complex(-self.size, self.angle))
        hidden = self.into(x.to(torch.cfloat))
        state = hidden[:, 0]
        for step in range(1, x.shape[1]):
            state = state * eigenvalue + hidden[:, step]
        return self.out(state).real


class Everything(nn.Module):
    """The functions that the two above leave out."""

    def forward(self, x: Tensor) -> Any:
        whole = torch.fft.fft2(x)
        back = torch.fft.ifft(whole, dim=1)
        turned = torch.view_as_complex(x.reshape(x.shape[0], 10, 3, 2)) * torch.polar(x[..., :3], x[..., 3:])
        masked = torch.zeros_like(whole)
        masked[:, 1:4] = (whole * whole.conj())[:, 1:4]
        parts = back.abs() + back.angle().cos() + (back / (whole + 2)).imag + torch.exp(1j * x).real
        return parts + masked.real + whole.pow(2).imag + torch.view_as_real(turned).flatten(2)


def exported(module: nn.Module, x: Tensor = X) -> Any:
    return torch.export.export(module, (x,), strict=False).run_decompositions()


@pytest.mark.parametrize("module", [Filter(10), Filter(9), Recurrence(), Everything()])
def test_the_numbers_are_those_of_complex_arithmetic(module: nn.Module) -> None:
    x = X[:, :9] if isinstance(module, Filter) and module.weight.shape[1] == 5 else X
    program = exported(module, x)
    real = RealModule(program)
    torch.testing.assert_close(real(x), module(x), rtol=1e-4, atol=1e-4)
    assert uses_complex(program)
    assert not uses_complex(exported(real, x))


def test_a_real_module_is_left_as_it_is() -> None:
    assert not uses_complex(exported(nn.Linear(6, 6)))


def test_what_has_no_real_counterpart_is_refused_with_its_line() -> None:
    class Sine(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return torch.fft.fft(x).sin().real

    with pytest.raises(Refused, match=r"aten.sin.default at .*test_complex_numbers.py:\d+: there are no"):
        RealModule(exported(Sine()))(X)


def test_a_wrong_product_is_caught(converted: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(module: RealModule, op: Any, x: Any, y: Any) -> Pair:
        return Pair(x.real * y.real, x.imag * y.imag)

    monkeypatch.setitem(complex_numbers._RULES, torch.ops.aten.mul, wrong)
    with pytest.raises(Refused, match=r"captured output .* is off by"):
        converted(Filter(10), X)


def test_both_targets_filter_in_the_frequency_domain_and_scan(converted: Callable[..., Any]) -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.filter, self.scan = Filter(10), Recurrence()

        def forward(self, x: Tensor) -> Any:
            return self.scan(self.filter(x))

    result = converted(Both(), X)
    evidence = next(each for each in result.rewrites if each.name == "complex_to_pairs")
    assert 0 < evidence.max_abs_error < 1e-4
    assert "test_complex_numbers.py:" in evidence.where
