"""A captured graph says itself which axes a squeeze removes and what fresh memory holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pocketrec.convert.explicit import fill_empty, squeeze_known_axes


class Calls(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def exported(function: Callable[[Tensor], Tensor]) -> torch.export.ExportedProgram:
    batch = {0: torch.export.Dim("batch", min=1, max=8)}
    return torch.export.export(Calls(function), (torch.ones(3, 1, 4),), dynamic_shapes=(batch,))


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x: x.squeeze(), (1, 4)),
        (lambda x: x.sum(2).squeeze(), (1,)),
        (lambda x: x.sum((1, 2)).squeeze(), (1,)),
        (lambda x: x.squeeze(0), (1, 1, 4)),
        (lambda x: x.squeeze(1), (1, 4)),
    ],
)
def test_a_batch_of_one_keeps_its_axis(function: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> None:
    program = exported(function)
    squeeze_known_axes(program)
    assert program.module(check_guards=False)(torch.ones(1, 1, 4)).shape == shape
    assert torch.equal(program.module()(torch.ones(3, 1, 4)), function(torch.ones(3, 1, 4)))


def test_without_it_the_axis_is_lost() -> None:
    program = exported(lambda x: x.sum((1, 2)).squeeze())
    assert program.module(check_guards=False)(torch.ones(1, 1, 4)).shape == ()


def test_fresh_memory_is_zeros_of_its_own_dtype() -> None:
    program = exported(
        lambda x: torch.empty_like(x, dtype=torch.int64) * 0 + torch.empty(4, dtype=torch.int64)
    )
    fill_empty(program)
    assert not any("empty" in str(node.target) for node in program.graph.nodes)
    given = program.module()(torch.ones(3, 1, 4))
    assert given.dtype == torch.int64
    assert not given.any()
