"""Noise that is multiplied by 0 is no reason to refuse, and noise that is not stays one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketrec.convert.capture.draws import drop_dead_draws

X = torch.rand(3, 4)
DEAD: dict[str, Callable[[Tensor], Tensor]] = {
    "gumbel": lambda x: x + False * F.gumbel_softmax(x, dim=-1),
    "normal": lambda x: x + torch.randn_like(x) * 0.0,
    "sized": lambda x: x * (1 + 0 * torch.rand(3, 4).log().mean()),
    "bernoulli": lambda x: torch.bernoulli(x).mul(0) + x,
}
ALIVE: dict[str, Callable[[Tensor], Tensor]] = {
    "one way of two": lambda x: (noise := torch.rand_like(x)) * 0 + (noise > 2).float() + x,
    "little": lambda x: x + torch.randn_like(x) * 1e-30,
}


class Calls(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def exported(function: Callable[[Tensor], Tensor]) -> torch.fx.GraphModule:
    program = torch.export.export(Calls(function).eval(), (X,), strict=False)
    return program.module(check_guards=False)


def draws(module: torch.fx.GraphModule) -> int:
    tag = torch.Tag.nondeterministic_seeded
    return sum(tag in getattr(each.target, "tags", ()) for each in module.graph.nodes)


@pytest.mark.parametrize("name", DEAD)
def test_a_draw_that_no_output_feels_is_gone(name: str) -> None:
    module = exported(DEAD[name])
    assert draws(module)
    assert drop_dead_draws(module)
    assert not draws(module)
    torch.testing.assert_close(module(X), DEAD[name](X))


@pytest.mark.parametrize("name", ALIVE)
def test_a_draw_that_reaches_an_output_stays(name: str) -> None:
    module = exported(ALIVE[name])
    before = draws(module)
    assert not drop_dead_draws(module)
    assert draws(module) == before > 0


class Macro(nn.Module):
    """Noise for training that eval mode multiplies away, one in the number of concepts, one in the rows."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.items, self.concepts = nn.Parameter(torch.randn(6, 4)), nn.Parameter(torch.randn(3, 4))

    def forward(self, x: Tensor) -> Tensor:
        logits = self.items @ self.concepts.T
        sampled, likely = F.gumbel_softmax(logits, dim=-1), logits.softmax(-1)
        share = self.training * sampled + (1 - self.training) * likely
        user = (x @ share).softmax(-1)
        return user + self.training * F.gumbel_softmax(user, dim=-1)


def test_both_targets_have_what_eval_mode_has_and_no_noise(far: Callable[..., Any]) -> None:
    far(Macro(), (torch.rand(4, 6),), (torch.randn(7, 6) * 9,), (torch.rand(1, 6),))
