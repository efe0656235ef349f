"""A module that its own rounding moves is told from one that it does not."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pocketrec.convert.watch.conditioning import moved_by_rounding


class Difference(nn.Module):
    """The difference of two numbers near 10^4, a hundred thousand times."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.near = nn.Parameter(torch.full((4,), 1e4))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return (self.near * x - 1e4) * self.scale, x.argmax(-1)


def test_a_small_difference_of_large_numbers_moves_and_ids_do_not() -> None:
    x = torch.ones(2, 4)
    unsteady, ids = moved_by_rounding(Difference(1e5).eval(), [x])
    steady, _ = moved_by_rounding(Difference(1e-2).eval(), [x])
    assert 50 < unsteady < 1000
    assert steady < 1e-4
    assert ids == 0


def test_the_module_is_left_as_it_was() -> None:
    module = Difference(1.0).eval()
    moved_by_rounding(module, [torch.ones(2, 4)])
    assert torch.equal(module.near, torch.full((4,), 1e4))
