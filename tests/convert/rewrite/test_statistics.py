"""Order statistics, variances and distances become sorts, sums and comparisons with the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pocketrec.convert.rewrite import statistics
from pocketrec.errors import Refused

X = torch.randn(4, 7, generator=torch.Generator().manual_seed(0)) * 3
GAPS = torch.where(X > 1, torch.full_like(X, torch.nan), X)
IDS = torch.randint(0, 4, (4, 9), generator=torch.Generator().manual_seed(1))

CASES: dict[str, tuple[Callable[[Tensor], Any], Tensor]] = {
    "cdist_to_norm": (lambda x: (torch.cdist(x, x[:2]), torch.cdist(x, x[:2], p=1)), X),
    "dist_to_norm": (lambda x: torch.dist(x[0], x[1]), X),
    "var_mean_to_var": (lambda x: torch.var_mean(x, 1), X),
    "std_mean_to_std": (lambda x: torch.std_mean(x, correction=0), X),
    "kthvalue_to_sort": (lambda x: torch.kthvalue(x, 3, 1, keepdim=True), X),
    "median_to_sort": (lambda x: (torch.median(x, 1), torch.median(x)), X),
    "nanmedian_to_sort": (lambda x: (torch.nanmedian(x, 1)[0], torch.nanmedian(x)), GAPS),
    "mode_to_counts": (lambda x: torch.mode(x, 1)[0], IDS),
    "stable_sort_to_ranks": (lambda x: torch.sort(x, dim=1, descending=True, stable=True), IDS),
    "histc_to_counts": (lambda x: torch.histc(x, 5, -2, 2), X),
    "cumprod_to_masked_product": (lambda x: torch.cumprod(x, 0), X),
}


@pytest.mark.parametrize("name", CASES)
def test_every_rule_gives_the_numbers_of_its_op(applied: Callable[..., Any], name: str) -> None:
    function, example = CASES[name]
    assert name in applied(function, example)


def test_distances_of_many_rows_are_taken_from_a_product_as_in_pytorch(applied: Callable[..., Any]) -> None:
    many = torch.randn(40, 6, generator=torch.Generator().manual_seed(2))
    assert applied(lambda x: torch.cdist(x, x + 3), many) == {"cdist_to_norm"}


def test_a_plain_sort_and_a_mean_are_left_as_they_are(applied: Callable[..., Any]) -> None:
    assert applied(lambda x: (torch.sort(x, 1)[0], x.mean(1), x.amax(1)), X) == set()


def test_the_end_of_a_histogram_must_be_given() -> None:
    assert statistics.histc(X, 5) is NotImplemented


def test_a_long_axis_is_not_ranked() -> None:
    assert statistics.stable_sort(torch.zeros(2, 5000), stable=True) is NotImplemented


def test_the_proof_catches_the_upper_of_two_middle_values(applied: Callable[..., Any]) -> None:
    def upper(x: Tensor, dim: int, keepdim: bool = False) -> Any:
        return statistics.kthvalue(x, x.shape[dim] // 2 + 1, dim, keepdim)

    rule = next(each for each in statistics.RULES if each.replace is statistics.median_dim)
    with pytest.raises(Refused, match="the rewrite median_to_sort is off by"):
        applied(lambda x: torch.median(x[:, :6], 1)[0], X, rules=[replace(rule, replace=upper)])


def test_the_place_of_equal_values_matters_only_where_it_is_read(applied: Callable[..., Any]) -> None:
    def last_place(x: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
        values, places = statistics.mode(x, dim, keepdim)
        return values, places * 0 + x.shape[dim]

    rule = next(each for each in statistics.RULES if each.replace is statistics.mode)
    wrong = replace(rule, replace=last_place)
    assert applied(lambda x: torch.mode(x, 1)[0], IDS, rules=[wrong]) == {"mode_to_counts"}
    with pytest.raises(Refused, match="the rewrite mode_to_counts is off by"):
        applied(lambda x: torch.mode(x, 1), IDS, rules=[wrong])


def test_both_targets_order_and_measure_as_pytorch_does(converted: Callable[..., Any]) -> None:
    class Measured(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            spread, mean = torch.std_mean(x, 1)
            ordered = torch.stack([torch.median(x, 1)[0], torch.kthvalue(x, 2, 1)[0], x.prod(1)])
            return (
                spread,
                mean,
                ordered,
                torch.cumprod(x, 1),
                torch.cdist(x.unsqueeze(-1), x[:, :3].unsqueeze(-1)),
            )

    converted(Measured(), X)


def test_a_group_norm_keeps_the_batch_free(far: Callable[..., Any]) -> None:
    class Grouped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rows, self.steps = nn.GroupNorm(2, 6), nn.GroupNorm(3, 6, affine=False)
            for each in self.rows.parameters():
                nn.init.normal_(each)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.rows(x.mean(-1)), self.steps(x)

    far(Grouped(), (torch.rand(4, 6, 5),), (torch.randn(7, 6, 5) * 9,), (torch.rand(1, 6, 5),))
