"""A loop whose first step looks back at nothing is the same without tensors that have no elements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pocketrec.convert.rewrite import empties
from pocketrec.errors import Refused

X = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))

CASES: dict[str, Callable[[Tensor], Any]] = {
    "sum_of_none_to_zeros": lambda x: (
        x[:, :0].sum(1),
        x[:, :0].sum((0, 1), keepdim=True),
        x[:, :0].to(torch.int32).sum(-1),
        x[:, :0].sum(1, dtype=torch.float64),
    ),
    "cat_without_empty_parts": lambda x: (
        torch.cat([x[:, :0], x], 1),
        torch.cat([x, x[:, :0], x * 2], 1),
        torch.cat([torch.tensor([]), torch.ones(2, 3, dtype=torch.int32)]),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_rule_gives_the_numbers_of_its_op(applied: Callable[..., Any], name: str) -> None:
    assert name in applied(CASES[name], X)


def test_what_has_elements_is_left_alone(applied: Callable[..., Any]) -> None:
    assert applied(lambda x: (x.sum(1), torch.cat([x, x])), X) == set()
    assert empties.cat([X[:, :0], X[:, :0]], 1) is NotImplemented
    assert empties.sum_of_none(X[:0], [1]) is NotImplemented


def test_the_proof_catches_a_sum_that_starts_at_one(applied: Callable[..., Any]) -> None:
    def ones(x: Tensor, dim: Any, keepdim: bool = False, *, dtype: Any = None) -> Any:
        return empties.sum_of_none(x, dim, keepdim, dtype=dtype) + 1

    rule = next(each for each in empties.RULES if each.replace is empties.sum_of_none)
    with pytest.raises(Refused, match="the rewrite sum_of_none_to_zeros is off by"):
        applied(lambda x: x[:, :0].sum(1), X, rules=[replace(rule, replace=ones)])


def test_a_page_is_filled_greedily_on_both_targets_for_any_batch(converted: Callable[..., Any]) -> None:
    class Determinantal(nn.Module):
        """Four items, each the best that the ones before have left room for."""

        def forward(self, items: Tensor, quality: Tensor) -> Tensor:
            items = nn.functional.normalize(items, dim=-1)
            kernel = quality.unsqueeze(2) * (items @ items.mT) * quality.unsqueeze(1)
            gain = torch.diagonal(kernel, dim1=1, dim2=2).clone()
            rows, chosen = torch.zeros(len(gain), 4, gain.shape[1]), []
            for step in range(4):
                best = gain.argmax(1)
                chosen.append(best)
                place = best.view(-1, 1, 1)
                before = rows[:, :step].gather(2, place.expand(-1, step, 1))
                own = kernel.gather(1, place.expand(-1, 1, gain.shape[1])).squeeze(1)
                scale = gain.gather(1, best[:, None]).clamp(min=1e-6).sqrt()
                rows[:, step] = (own - (rows[:, :step] * before).sum(1)) / scale
                gain = (gain - rows[:, step] ** 2).scatter(1, best[:, None], -1e9)
            return torch.stack(chosen, 1)

    generator = torch.Generator().manual_seed(1)
    items, quality = torch.randn(3, 9, 5, generator=generator), torch.rand(3, 9, generator=generator)
    assert converted(Determinantal(), items, quality).notes == ()


def test_both_targets_attend_to_steps_of_which_the_first_has_none(far: Callable[..., Any]) -> None:
    class Looking(nn.Module):
        """Each step attends to the states before it, by products of tensors without elements at first."""

        def forward(self, x: Tensor) -> Tensor:
            states = x[:, :0]
            for step in range(3):
                weights = torch.einsum("bd,btd->bt", x[:, step], states).softmax(-1)
                seen = torch.einsum("bt,btd->bd", weights, states)
                states = torch.cat([states, (x[:, step] + seen).unsqueeze(1)], 1)
            return states

    far(Looking(), (torch.rand(4, 3, 2),), (torch.randn(7, 3, 2) * 3,), (torch.rand(1, 3, 2),))
