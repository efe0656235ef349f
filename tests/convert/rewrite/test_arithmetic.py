"""Arithmetic that a target lacks is written in other arithmetic with the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketrec.convert.rewrite import arithmetic
from pocketrec.errors import Refused

X = torch.randn(4, 7, generator=torch.Generator().manual_seed(0)) * 3
IDS = torch.randint(-30, 30, (4, 7), generator=torch.Generator().manual_seed(1))
DIVISORS = torch.tensor([3, -3, 7, -7, 5, 2, -9])

CASES: dict[str, tuple[Callable[[Tensor], Any], Tensor]] = {
    "fmod_to_remainder": (lambda x: (torch.fmod(x, 0.7), torch.fmod(x, -DIVISORS)), X),
    "addbmm_to_bmm": (lambda x: torch.addbmm(x[0], x, x.mT, beta=0.5, alpha=2), torch.ones(2, 3, 3)),
    "addmv_to_mv": (lambda x: torch.addmv(x[:, 0], x, x[0], alpha=2, beta=0.5), X),
    "cummin_to_cummax": (lambda x: torch.cummin(x, 1), X),
    "cummax_to_masked_max": (lambda x: torch.cummax(x, 0), IDS),
    "trunc_to_floor": (torch.trunc, X),
    "asinh_to_log": (torch.asinh, X),
    "acosh_to_log": (lambda x: torch.acosh(1 + x.abs()), X),
    "erfc_to_exp": (torch.erfc, X),
    "integer_division": (lambda x: torch.div(x, -DIVISORS, rounding_mode="trunc"), IDS),
    "floor_division": (lambda x: (x + 2_000_000_000) // 3, IDS),
    "isinf_to_comparison": (lambda x: torch.isinf(1 / x.relu()), X),
    "shift_operator_to_function": (lambda x: (x << 3, x >> 2, x >> x.abs() % 5), IDS),
    "hardtanh_to_clamp": (lambda x: F.hardtanh(x, 0, 6), X),
    "full_with_dtype": (lambda x: x + torch.full((4, 1), 3), IDS),
    "scaled_add_to_product": (lambda x: torch.add(x, x, alpha=3), X),
    "scaled_sub_to_product": (lambda x: torch.sub(x, x.abs(), alpha=2), X),
    "reciprocal_to_division": (lambda x: torch.reciprocal(x / 1000), X),
    "clamp_to_minimum_maximum": (lambda x: torch.clamp(x, min=x[0], max=x[1].abs()), X),
    "lerp_to_product": (lambda x: (torch.lerp(x, x[0], 0.3), torch.lerp(x, x[0], x.sigmoid())), X),
    "where_of_truths_to_logic": (lambda x: torch.where(x > 0, x > 2, x < -2), X),
    "ldexp_to_product": (lambda x: torch.ldexp(x, torch.tensor(-3)), X),
    "round_to_product": (lambda x: (torch.round(x, decimals=1), torch.round(x, decimals=-1)), X),
    "fmax_to_maximum": (lambda x: torch.fmax(x, torch.where(x > 1, torch.nan, -x)), X),
    "fmin_to_minimum": (lambda x: torch.fmin(torch.where(x > 1, torch.nan, -x), x), X),
    "rsub_to_add": (lambda x: ((1.5 - x), torch.rsub(x, 7, alpha=2)), IDS),
    "cumsum_axis_from_the_start": (lambda x: torch.cumsum(x, -2), X),
    "hypot_to_sqrt": (lambda x: torch.hypot(x, x[0]), X),
    "atan2_to_atan": (lambda x: (torch.atan2(x.relu(), x[0]), torch.atan2(x, x[1].relu())), X),
    "sign_to_comparisons": (lambda x: (torch.sign(x / x.relu()), torch.sgn(x)), X),
    "signbit_to_comparison": (lambda x: torch.signbit(x.relu() * -1), X),
    "copysign_to_product": (lambda x: (torch.copysign(x[0], x), torch.copysign(x, -2.0)), X),
    "rrelu_to_leaky_relu": (F.rrelu, X),
    "bilinear_to_products": (lambda x: F.bilinear(x[:, :3], x, X.new_ones(2, 3, 7), x[0, :2]), X),
}


@pytest.mark.parametrize("name", CASES)
def test_every_rule_gives_the_numbers_of_its_op(applied: Callable[..., Any], name: str) -> None:
    function, example = CASES[name]
    assert name in applied(function, example)


def test_sums_without_a_factor_are_left_as_they_are(applied: Callable[..., Any]) -> None:
    names = applied(lambda x: x + x - 1 + torch.full((4, 1), 3.0) + torch.zeros_like(x), X)
    assert names == set()


def test_remainders_of_integers_keep_pytorchs_signs(applied: Callable[..., Any]) -> None:
    assert applied(lambda x: torch.fmod(x, DIVISORS), IDS) == {"fmod_to_remainder"}
    assert applied(lambda x: x % DIVISORS, IDS) == set()


def test_the_proof_catches_the_remainder_of_the_other_sign(applied: Callable[..., Any]) -> None:
    wrong = replace(arithmetic.RULES[1], replace=torch.remainder)
    with pytest.raises(Refused, match=r"the rewrite fmod_to_remainder is off by"):
        applied(lambda x: torch.fmod(x, 0.7), X, rules=[wrong])


def test_both_targets_divide_shift_and_combine_integers_as_pytorch_does(
    converted: Callable[..., Any],
) -> None:
    class Integers(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            divided = torch.stack([x // 7, x % 7, x // -7, torch.fmod(x, 7)])
            truncated = torch.div(x, DIVISORS, rounding_mode="trunc")
            large = (x + 2_000_000_000) // 3  # float32 would round this
            chosen = x.gather(1, (x.abs() % 9 - 2).clamp(min=0, max=6))
            bits = torch.stack([x & 6, x | 6, x ^ DIVISORS, ~x, x << 3, x >> 2])
            return divided, truncated, large, chosen, bits

    converted(Integers(), IDS)


def test_both_targets_compute_what_has_no_op_of_its_own(converted: Callable[..., Any]) -> None:
    class Floats(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            elementwise = torch.stack(
                [torch.fmod(x, 0.7), x // 0.7, torch.trunc(x), torch.asinh(x), F.relu6(x)]
            )
            places = torch.cummax(x, 1)[1]
            angles = torch.atan2(x, x.roll(1, 1).relu())
            return elementwise, places, torch.rsub(x, 1.0, alpha=2), torch.roll(x, 2, 1), angles

    converted(Floats(), X)


def test_running_maxima_and_their_places_keep_the_batch_free(far: Callable[..., Any]) -> None:
    class Running(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            return *torch.cummax(x, 1), *torch.cummin(x, 1), torch.cummax(x, 0).values

    far(Running(), (torch.rand(4, 6),), (torch.randn(7, 6) * 9,), (torch.ones(1, 6),))
