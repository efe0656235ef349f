"""A free axis is split into slices where the number of parts is certain, and left alone elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pocketrec
from pocketrec.convert.rewrite.splits import SymbolicSplitRule

RULE = SymbolicSplitRule()
Split = Callable[[Tensor, Tensor], tuple[Tensor, ...]]


class Siamese(nn.Module):
    """Both sides through one layer in one batch, and apart again."""

    def __init__(self, split: Split) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.split = nn.Linear(4, 4), split

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.split(self.layer(torch.cat([x, x * 2])), x)
        return first - second


def chunked(both: Tensor, x: Tensor) -> tuple[Tensor, ...]:
    return both.chunk(2)


def chunked_by_keyword(both: Tensor, x: Tensor) -> tuple[Tensor, ...]:
    return torch.chunk(both, chunks=2, dim=0)


def in_parts_of_a_size(both: Tensor, x: Tensor) -> tuple[Tensor, ...]:
    return tuple(torch.split(both, x.shape[0]))


def in_given_parts(both: Tensor, x: Tensor) -> tuple[Tensor, ...]:
    return torch.split(both, [len(x), x.shape[0]], dim=0)


@pytest.mark.parametrize("split", [chunked, chunked_by_keyword, in_parts_of_a_size, in_given_parts])
def test_two_sides_of_one_batch_come_apart_on_every_target(split: Split, tmp_path: Any) -> None:
    module = Siamese(split).eval()
    found = pocketrec.convert_module(module, torch.randn(3, 4), tmp_path)
    assert not found.notes
    assert {each.name for each in found.rewrites} >= {RULE.name}
    for path in found.artifacts.values():
        for rows in (1, 6):
            x = torch.randn(rows, 4)
            given = pocketrec.open(path).run({found.inputs[0]: x.numpy()})
            with torch.no_grad():
                assert np.allclose(given[found.outputs[0]], module(x), atol=1e-5)


def test_a_plain_axis_and_parts_that_may_not_be_equal_are_left_alone() -> None:
    assert RULE.replace(torch.chunk, (torch.zeros(4, 2), 2), {}) is NotImplemented
    given = []

    class Halves(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            given.append(RULE.replace(torch.chunk, (x, 2), {}))
            given.append(RULE.replace(torch.split, (x, 3), {}))
            given.append(RULE.replace(torch.chunk, (x, 2, 1), {}))
            return x * 2

    batch = torch.export.Dim("batch", min=2, max=64)
    torch.export.export(Halves(), (torch.zeros(6, 2),), dynamic_shapes=({0: batch},))
    assert len(given) >= 3
    assert all(each is NotImplemented for each in given)
