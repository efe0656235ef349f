"""Pools that round their number of windows up have PyTorch's windows on both targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

X = torch.arange(2 * 3 * 6 * 8.0).reshape(2, 3, 6, 8).sin()
Pool = Callable[[Tensor], Tensor]
CASES: dict[str, list[Pool]] = {
    "avg_pool_to_whole_windows": [
        lambda x: F.avg_pool2d(x, 2, 3, 1, ceil_mode=True),
        lambda x: F.avg_pool2d(x, (2, 2), (3, 3), (1, 1), ceil_mode=True, count_include_pad=False),
        lambda x: F.avg_pool1d(x[:, 0], 2, 3, 1, ceil_mode=True),
    ],
    "max_pool_to_whole_windows": [
        lambda x: F.max_pool2d(x, 2, 3, 1, ceil_mode=True),
        lambda x: F.max_pool2d(x, 2, 3, 1, ceil_mode=True, return_indices=True)[1],
        lambda x: F.max_pool1d(x[:, 0], 2, 3, 1, ceil_mode=True),
    ],
}


@pytest.mark.parametrize(("name", "function"), [(name, each) for name, own in CASES.items() for each in own])
def test_a_window_that_begins_in_the_padding_is_left_out(
    applied: Callable[..., Any], name: str, function: Pool
) -> None:
    assert applied(function, X) == {name}


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True),  # a window more, cut at the end
        lambda x: F.max_pool2d(x, 3, 2, 0, ceil_mode=True),
        lambda x: F.avg_pool2d(x, 2, 3, 1),
    ],
)
def test_a_window_more_and_rounding_down_are_left_alone(applied: Callable[..., Any], function: Pool) -> None:
    assert applied(function, X) == set()


def test_both_targets_pool_as_pytorch_does(converted: Callable[..., Any]) -> None:
    class Pooled(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            averages, (maximum, *_) = CASES.values()
            return (*(function(x) for function in averages), maximum(x))

    converted(Pooled(), X)
