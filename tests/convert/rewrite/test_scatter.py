"""Scatters and indexed writes become the forms that every target has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pocketrec.convert.rewrite import scatter
from pocketrec.errors import Refused

X = torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
IDS = torch.randint(0, 20, (4, 7), generator=torch.Generator().manual_seed(1))
ROWS = torch.tensor([3, 3, 19, 0])
COLUMNS = torch.tensor([1, 3, 4, 5, 7, 9, 10])


@pytest.mark.parametrize("reduce", ["sum", "mean", "prod", "amax", "amin"])
@pytest.mark.parametrize("include_self", [True, False])
def test_every_reduction_is_equal_with_and_without_the_first_value(
    applied: Callable[..., Any], reduce: str, include_self: bool
) -> None:
    def scattered(x: Tensor) -> Tensor:
        return torch.full((4, 20), 0.5).scatter_reduce(1, IDS, x, reduce, include_self=include_self)

    names = applied(scattered, X)
    assert names == (
        {"scatter_reduce_to_scatter"} if not include_self or reduce in ("sum", "mean") else set()
    )


@pytest.mark.parametrize("reduce", ["prod", "mean", "amax", "amin"])
def test_a_reduction_by_rows_is_one_by_elements(applied: Callable[..., Any], reduce: str) -> None:
    names = applied(lambda x: torch.ones(20, 7).index_reduce(0, ROWS, x, reduce), X)
    assert names == {"index_reduce_to_scatter_reduce"}


CASES: dict[str, Callable[[Tensor], Any]] = {
    "index_add_to_first_axis": lambda x: torch.ones(4, 20).index_add(1, COLUMNS % 6, x, alpha=2),
    "index_copy_to_first_axis": lambda x: torch.ones(4, 20).index_copy(1, COLUMNS, x),
    "index_fill_to_where": lambda x: x.index_fill(1, torch.tensor([1, -1]), -1.0),
    "index_put_to_first_axis": lambda x: torch.ops.aten.index_put(x, [None, torch.tensor([1, 3])], x[:, :2]),
    "scatter_of_a_number_to_scatter": lambda x: x.scatter(1, COLUMNS[:4].unsqueeze(0) % 7, -1.0),
    "scatter_of_truths_to_integers": lambda x: (x > 0).scatter(1, (COLUMNS % 7).unsqueeze(0), x[:1] < 0),
    "gather_of_truths_to_integers": lambda x: (x > 0).gather(1, IDS % 7),
    "copy_to_expand": lambda x: torch.ops.aten.copy(x, torch.tensor(2)),
    "diagonal_to_index_select": lambda x: torch.diagonal(x.reshape(2, 2, 7), offset=-1, dim1=1, dim2=2),
}


@pytest.mark.parametrize("name", CASES)
def test_writes_and_reads_along_a_later_axis_are_equal(applied: Callable[..., Any], name: str) -> None:
    assert applied(CASES[name], X) == {name}


@pytest.mark.parametrize("accumulate", [False, True])
def test_indices_with_a_slice_between_them_write_what_pytorch_writes(
    applied: Callable[..., Any], accumulate: bool
) -> None:
    def written(x: Tensor) -> Tensor:
        cache = x.reshape(2, 2, 7).repeat(1, 1, 2)
        indices = [torch.tensor([[0], [1]]), None, torch.tensor([3, -1, 3])]
        result: Tensor = torch.ops.aten.index_put(cache, indices, x[:2, 1].reshape(2, 1, 1), accumulate)
        return result

    assert applied(written, X) == {"index_put_to_first_axis"}


def test_writes_along_the_first_axis_are_left_as_they_are(applied: Callable[..., Any]) -> None:
    assert applied(lambda x: torch.ops.aten.index_put(torch.ones(20, 7), [ROWS], x, True), X) == set()


def test_the_proof_catches_a_mean_that_counts_the_first_value(applied: Callable[..., Any]) -> None:
    def counting(*args: Any, include_self: bool = True) -> Any:
        return scatter.scatter_reduce(*args, include_self=True)

    wrong = replace(
        next(each for each in scatter.RULES if each.replace is scatter.scatter_reduce), replace=counting
    )
    with pytest.raises(Refused, match=r"the rewrite scatter_reduce_to_scatter is off by"):
        applied(
            lambda x: torch.ones(4, 20).scatter_reduce(1, IDS, x, "mean", include_self=False),
            X,
            rules=[wrong],
        )


def test_both_targets_scatter_as_pytorch_does(converted: Callable[..., Any]) -> None:
    class Scatters(nn.Module):
        def forward(self, x: Tensor, ids: Tensor) -> tuple[Tensor, ...]:
            zeros = torch.zeros(x.shape[0], 20)
            modes = [
                zeros.scatter_reduce(1, ids, x, mode, include_self=False) for mode in ("mean", "amax", "prod")
            ]
            filled = x.index_fill(1, torch.tensor([1, 3]), -1.0)
            return torch.stack(modes, 1), zeros.index_add(1, COLUMNS, x), filled

    converted(Scatters(), X, IDS)


def test_both_targets_hide_what_was_seen(converted: Callable[..., Any]) -> None:
    """A column, a mask and a list of ids are set to one number, as a recommender does before its top-k."""

    class Hidden(nn.Module):
        def forward(self, scores: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
            scores = scores.scatter(1, seen, -5.0)
            scores[:, 0] = -9.0
            scores[scores > 2] = -7.0
            taken = (scores < -100).scatter(1, seen, True)
            return scores, taken.gather(1, seen + 1).float()

    converted(Hidden(), X * 2, IDS[:, :3] % 6)


def test_both_targets_write_one_place_of_every_row_of_a_cache(far: Callable[..., Any]) -> None:
    class Cache(nn.Module):
        def forward(self, cache: Tensor, place: Tensor, new: Tensor) -> Tensor:
            cache = cache.clone()
            cache[torch.arange(len(cache)), :, place] = new
            return cache

    def drawn(*places: int) -> tuple[Tensor, Tensor, Tensor]:
        rows = len(places)
        return torch.randn(rows, 2, 5, 3), torch.tensor(places), torch.randn(rows, 2, 3)

    far(Cache(), drawn(0, 1, 2, 3), drawn(4, 4, 0, 1, 2, 3), drawn(4))
