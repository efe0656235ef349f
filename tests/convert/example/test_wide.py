"""Casts to 16 bits inside of a module are casts to float32 where the module is converted in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pocketrec.convert.example.wide import InFloat32


class Mixed(nn.Module):
    """A layer in 16 bits between two in 32, as training in mixed precision leaves it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.item, self.out = nn.Embedding(30, 8), nn.Linear(4, 2)
        self.narrow = nn.Linear(8, 4).half()

    def forward(self, ids: Tensor) -> Tensor:
        x = self.narrow(self.item(ids).mean(1).half())
        result: Tensor = self.out(x.to(torch.float32)) + torch.ones(2, dtype=torch.float16)
        return result


def test_every_way_to_cast_gives_float32() -> None:
    x = torch.rand(3)
    with InFloat32():
        cast = [x.half(), x.bfloat16(), x.to(torch.float16), x.to(dtype=torch.bfloat16), x.type(torch.half)]
        made = torch.zeros(2, dtype=torch.float16)
    assert {each.dtype for each in (*cast, made)} == {torch.float32}
    assert x.half().dtype == torch.float16


def test_both_targets_convert_a_layer_of_16_bits_inside(far: Callable[..., Any]) -> None:
    module = Mixed()
    wide = Mixed().float()
    wide.forward = lambda ids: wide.out(wide.narrow(wide.item(ids).mean(1))) + 1  # type: ignore[method-assign]
    ids = torch.randint(0, 30, (7, 6))
    with torch.no_grad():
        torch.testing.assert_close(module(ids), wide(ids), rtol=1e-2, atol=1e-2)
    found = far(module, (torch.randint(0, 30, (4, 6)),))
    assert found.inputs == ("ids",)
