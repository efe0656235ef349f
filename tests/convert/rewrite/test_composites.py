"""Functions of PyTorch that would fix a free batch give the same numbers from parts that do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pocketrec.convert.rewrite.composites import CompositeRule

RULE = CompositeRule()
X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
PLACES = X.argsort(1)

CALLS: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = [
    (torch.take_along_dim, (X, PLACES, 1), {}),
    (torch.take_along_dim, (X, PLACES), {"dim": -1}),
    (torch.take_along_dim, (X, PLACES[:, :1], 1), {}),
    (torch.take_along_dim, (X[:1], PLACES, 1), {}),
    (Tensor.take_along_dim, (X, PLACES[:1], 1), {}),
    (torch.take_along_dim, (X, torch.tensor([[5, 0]])), {}),
    (torch.chain_matmul, (X, X.T, X), {}),
    (torch.linalg.multi_dot, ([X, X.T, X, X.T],), {}),
    (torch.linalg.multi_dot, ([X[0], X.T, X[:, 0]],), {}),
    (torch.kron, (X, torch.tensor([[1.0, 2.0], [3.0, 4.0]])), {}),
    (torch.kron, (X[0], X[1]), {}),
]


@pytest.mark.parametrize(("function", "args", "kwargs"), CALLS)
def test_every_form_gives_what_the_function_gives(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    torch.testing.assert_close(RULE.replace(function, args, kwargs), function(*args, **kwargs))


def test_other_ranks_are_left_to_pytorch() -> None:
    assert RULE.replace(torch.kron, (X, X[0]), {}) is NotImplemented
    assert RULE.replace(torch.take_along_dim, (torch.tensor(1.0), torch.tensor(0), 0), {}) is NotImplemented


def test_items_are_chosen_by_marginal_relevance_on_both_targets_for_any_batch(
    converted: Callable[..., Any],
) -> None:
    class MarginalRelevance(nn.Module):
        def forward(self, relevance: Tensor, items: Tensor) -> Tensor:
            likeness = items @ items.mT
            seen, nearest = torch.zeros_like(relevance, dtype=torch.bool), torch.full_like(relevance, -1.0)
            chosen = []
            for _ in range(3):
                score = (0.7 * relevance - 0.3 * nearest).masked_fill(seen, float("-inf"))
                best = score.argmax(1, keepdim=True)
                chosen.append(best)
                seen = seen.scatter(1, best, True)
                row = torch.take_along_dim(likeness, best.unsqueeze(-1), 1).squeeze(1)
                nearest = torch.maximum(nearest, row)
            return torch.cat(chosen, 1)

    found = converted(MarginalRelevance(), torch.rand(3, 6), torch.randn(3, 6, 4))
    assert found.notes == ()
    assert {each.name for each in found.rewrites} >= {RULE.name}
