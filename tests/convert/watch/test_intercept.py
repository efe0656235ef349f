"""What is the same in every call is answered once: masks, and functions that watch each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Chosen(nn.Module):
    """Parts of every row that constant masks choose along the last axes, and experts by `vmap`."""

    pairs: Tensor
    columns: Tensor

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.register_buffer("pairs", torch.ones(5, 5).triu(1).bool())
        self.register_buffer("columns", torch.tensor([[True], [False], [True], [True], [False]]))
        self.experts = nn.Parameter(torch.randn(3, 5, 2))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        rows = len(x)
        columns = torch.masked_select(x, self.columns).view(rows, -1, 5)
        pairs = torch.masked_select(x, self.pairs).view(rows, -1)
        alike = torch.masked_select(x, self.columns.T.unsqueeze(0)).view(rows, -1, 3)
        answers = torch.vmap(lambda expert: x[:, 0] @ expert)(self.experts)
        return columns, pairs, alike, answers.movedim(0, 1)


def test_both_targets_choose_by_masks_of_fewer_axes_and_ask_every_expert(far: Callable[..., Any]) -> None:
    far(Chosen(), (torch.rand(4, 5, 5),), (torch.randn(7, 5, 5) * 9,), (torch.rand(1, 5, 5),))


class Summed(nn.Module):
    """Reductions of as many elements as the values say."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.masked_select(x, x > 0).sum() + x.sum(1), x[x > 0].mean() * x.sum(1)


def test_reductions_over_chosen_elements_for_any_batch(far: Callable[..., Any]) -> None:
    far(Summed(), (torch.randn(4, 6),), (torch.randn(7, 6) * 9,), (torch.ones(1, 6),))
