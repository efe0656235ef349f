"""bucketize and searchsorted become counts of boundaries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pocketrec.convert.rewrite import search
from pocketrec.errors import Refused

EDGES = torch.tensor([-1.0, -0.5, 0.0, 0.0, 1.5])
VALUES = torch.tensor([[-2.0, -1.0, 0.0, 0.3], [1.5, 9.0, float("nan"), float("inf")]])
GRID = torch.sort(torch.randn(2, 9, generator=torch.Generator().manual_seed(0)), -1)[0]


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("out_int32", [False, True])
def test_bucketize_is_equal_on_edges_nan_and_infinity(
    applied: Callable[..., Any], right: bool, out_int32: bool
) -> None:
    names = applied(lambda x: torch.bucketize(x, EDGES, right=right, out_int32=out_int32), VALUES)
    assert names == {"bucketize_to_count"}


def test_searchsorted_is_equal_for_boundaries_of_any_rank(applied: Callable[..., Any]) -> None:
    order = torch.arange(4, -1, -1)
    for function in (
        lambda x: torch.searchsorted(EDGES, x),
        lambda x: torch.searchsorted(GRID, x, side="right"),
        lambda x: torch.searchsorted(EDGES.flip(0), x, sorter=order, right=True),
    ):
        assert applied(function, VALUES) == {"searchsorted_to_count"}


def test_a_comparison_is_left_as_it_is(applied: Callable[..., Any]) -> None:
    assert applied(lambda x: (x.unsqueeze(-1) > EDGES).any(-1), VALUES) == set()


def test_the_proof_catches_a_count_of_the_wrong_side(applied: Callable[..., Any]) -> None:
    wrong = replace(search.RULES[0], replace=lambda x, edges, **_: search.bucketize(x, edges, right=True))
    with pytest.raises(Refused, match=r"the rewrite bucketize_to_count is off by 1"):
        applied(lambda x: torch.bucketize(x, EDGES), torch.tensor([-1.0, 1.5]), rules=[wrong])


def test_both_targets_find_the_buckets_of_an_embedding(converted: Callable[..., Any]) -> None:
    class Bucketed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(6, 4)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.table(torch.bucketize(x, EDGES)), torch.searchsorted(EDGES, x, right=True)

    converted(Bucketed(), torch.randn(3, 5, generator=torch.Generator().manual_seed(1)))
