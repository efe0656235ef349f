"""Sums and means of what a mask chooses are those of PyTorch, without a size that depends on values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pocketrec.convert.capture.chosen import reduce_chosen

X = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
REDUCED: dict[str, Callable[[Tensor], Tensor]] = {
    "sum": lambda x: torch.masked_select(x, x > 0).sum(),
    "mean of none": lambda x: x[x > 99].mean(),
    "both": lambda x: x[x > 0].sum() / x[x > 0].mean(),
    "rows": lambda x: x[x[:, 0] > 0].mean() + x[x.sum(1) > 0].sum(),
    "a mask of one row": lambda x: torch.masked_select(x, x[:1] > 0).sum(),
    "whole numbers": lambda x: (x * 9).long()[x > 0].sum(),
}
LEFT: dict[str, Callable[[Tensor], Tensor]] = {
    "elements": lambda x: x[x > 0].sum() + x[x > 0][0],
    "an axis": lambda x: x[x[:, 0] > 0].sum(0),
    "their number": lambda x: x[x > 0].sum() * x[x > 0].shape[0],
    "ids": lambda x: x[(x[:, 0] > 0).long()].sum(),
}


class Calls(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def exported(function: Callable[[Tensor], Tensor]) -> Any:
    return torch.export.export(Calls(function).eval(), (X,), strict=False).module(check_guards=False)


@pytest.mark.parametrize("name", REDUCED)
def test_a_reduction_of_all_that_is_chosen_has_pytorchs_numbers(name: str) -> None:
    module = exported(REDUCED[name])
    assert reduce_chosen(module)
    for x in (X, -X * 9, X[:, :1].expand(4, 6)):
        torch.testing.assert_close(module(x), REDUCED[name](x), equal_nan=True)


@pytest.mark.parametrize("name", LEFT)
def test_what_is_read_in_another_way_is_left_alone(name: str) -> None:
    module = exported(LEFT[name])
    reduce_chosen(module)
    torch.testing.assert_close(module(X), LEFT[name](X))


class Summed(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.masked_select(x, x > 0).sum() + x.sum(1), x[x > 0].mean() * x.sum(1)


def test_both_targets_reduce_what_is_chosen_for_any_batch(far: Callable[..., Any]) -> None:
    far(Summed(), (torch.randn(4, 6),), (torch.randn(7, 6) * 9,), (torch.ones(1, 6),))
