"""Counts and reductions by group give PyTorch's numbers at sizes that are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pocketrec.convert.rewrite.segments import SegmentRule

ROWS = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
LENGTHS = torch.tensor([2, 0, 4, 1])


def replaced(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return SegmentRule().replace(function, args, kwargs)


@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "min", "prod"])
@pytest.mark.parametrize("initial", [None, 2.0])
def test_segments_are_reduced_as_pytorch_does(reduce: str, initial: float | None) -> None:
    offsets = torch.tensor([0, 2, 2, 6, 7])
    for given in ({"lengths": LENGTHS}, {"offsets": offsets}):
        expected = torch.segment_reduce(ROWS, reduce, initial=initial, **given)  # type: ignore[arg-type]
        actual = replaced(torch.segment_reduce, ROWS, reduce, initial=initial, **given)
        torch.testing.assert_close(actual, expected, equal_nan=True)


def test_counts_have_pytorchs_dtypes() -> None:
    ids, weights = torch.tensor([3, 0, 3, 8]), torch.rand(4)
    for each in ({}, {"weights": weights}, {"weights": weights.double()}, {"weights": ids}):
        expected = torch.bincount(ids, minlength=9, **each)
        torch.testing.assert_close(replaced(torch.bincount, ids, minlength=9, **each), expected)


def test_a_count_without_a_length_and_segments_of_another_axis_are_left_alone() -> None:
    assert replaced(torch.bincount, torch.tensor([1])) is NotImplemented
    assert replaced(torch.segment_reduce, ROWS, "sum", lengths=LENGTHS, axis=1) is NotImplemented
    assert replaced(torch.segment_reduce, ROWS, "sum", lengths=torch.ones(7, 1)) is NotImplemented


def test_both_targets_count_and_reduce_other_groups_than_the_examples(far: Callable[..., Any]) -> None:
    class Sessions(nn.Module):
        """How often an item is in the batch, and what each session spent."""

        def forward(self, items: Tensor, spent: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
            counts = torch.bincount(items, minlength=30)
            shares = torch.bincount(items, weights=spent[:, 0], minlength=30)
            sums = torch.segment_reduce(spent, "sum", lengths=lengths)
            return (
                counts[items],
                shares[items],
                sums,
                torch.segment_reduce(spent, "mean", lengths=lengths + 0),
            )

    def drawn(*lengths: int) -> tuple[Tensor, ...]:
        return torch.randint(0, 30, (6,)), torch.rand(6, 2), torch.tensor(lengths)

    far(Sessions(), drawn(2, 1, 1, 2), drawn(1, 3, 1, 1), drawn(3, 1, 1, 1), fixed=True)


def test_onnx_repeats_rows_as_often_as_a_tensor_says(far: Callable[..., Any]) -> None:
    class Repeated(nn.Module):
        """A row for each of a user's items, summed again; and constant counts."""

        def forward(self, users: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
            rows = users.repeat_interleave(counts, 0)
            fixed = torch.repeat_interleave(torch.arange(3.0), torch.tensor([1, 2, 0]))
            return rows.sum(0) + users, fixed + users.sum(1, keepdim=True)

    def drawn(*counts: int) -> tuple[Tensor, Tensor]:
        return torch.randn(len(counts), 3), torch.tensor(counts)

    far(Repeated(), drawn(1, 2, 0, 3), drawn(1, 2, 0, 3, 5, 0), drawn(4), targets=("onnx",))
