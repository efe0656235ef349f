"""Special functions of probability give PyTorch's numbers over their whole range, on every target."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pocketrec.convert.rewrite import special
from pocketrec.errors import Refused

RANGES: dict[str, list[Tensor]] = {
    "erfinv": [torch.linspace(-1, 1, 20_001), torch.tensor([1 - 1e-7, -1 + 6e-8, 1.5, -2.0, math.nan])],
    "lgamma": [
        torch.linspace(0.001, 5, 10_001),
        torch.linspace(-20, 0.5, 10_003),
        torch.logspace(-30, 30, 1_000),
        torch.tensor([0.0, -1.0, -7.0, math.inf, -math.inf, math.nan]),
    ],
    "digamma": [
        torch.linspace(0.001, 5, 10_001),
        torch.linspace(-19.95, 0.45, 1_003),
        torch.logspace(-4, 6, 1_000),
        torch.tensor([0.0, -1.0, -7.0, math.inf, math.nan]),
    ],
    "special.log_ndtr": [
        torch.linspace(-40, 10, 10_001),
        torch.tensor([0.0, -1e-6, -1e3, 1e4, math.nan]),
    ],
}


@pytest.mark.parametrize("name", RANGES)
def test_the_numbers_are_pytorchs(applied: Callable[..., Any], name: str) -> None:
    function = operator.attrgetter(name)(torch)
    for values in RANGES[name]:
        assert applied(function, values) == {f"{name.replace('.', '_')}_to_polynomials"}


def test_other_dtypes_are_left_alone() -> None:
    for rule in special.RULES:
        assert rule.replace(torch.zeros(2, dtype=torch.float64)) is NotImplemented


def test_the_proof_catches_a_polynomial_without_its_tails(applied: Callable[..., Any]) -> None:
    def central(x: Tensor) -> Tensor:
        return special._polynomial(special._CENTRAL, -((1 - x) * (1 + x)).log() - 2.5) * x

    rule = next(each for each in special.RULES if each.replace is special.erfinv)
    assert applied(torch.erfinv, torch.linspace(-0.9, 0.9, 9), rules=[replace(rule, replace=central)])
    with pytest.raises(Refused, match="the rewrite erfinv_to_polynomials is off by"):
        applied(torch.erfinv, torch.tensor([0.999999]), rules=[replace(rule, replace=central)])


def test_both_targets_give_quantiles_and_densities(converted: Callable[..., Any]) -> None:
    class Posterior(nn.Module):
        """The upper quantile of a normal reward, and the log density of a beta one."""

        def forward(self, mean: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
            inner = share.sigmoid() * 0.98 + 0.01
            normal: Any = torch.distributions.Normal(mean, 0.5, validate_args=False)
            beta: Any = torch.distributions.Beta(1 + mean.abs(), 2 + mean.abs(), validate_args=False)
            return normal.icdf(inner), beta.log_prob(inner)

    found = converted(Posterior(), torch.randn(3, 4), torch.randn(3, 4))
    assert found.notes == ()


def test_both_targets_give_them_far_from_the_example(far: Callable[..., Any]) -> None:
    class Posterior(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return torch.digamma(x), torch.special.log_ndtr(x)

    rare = torch.tensor([[-12.3, 0.25], [1e4, 1e-3], [-0.75, 3.0]])
    far(Posterior(), (torch.rand(4, 2) + 0.5,), (rare,), (-15 * torch.rand(7, 2) - 0.1,))
