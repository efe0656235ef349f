"""A slice that ends at a number in a tensor is as long as the tensor says, in the artifact too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pocketrec.convert.rewrite.prefixes import TensorSliceRule

ROW = torch.arange(5.0)


def test_the_slice_is_pythons() -> None:
    for start in (None, 0, 2):
        for stop in (-9, -2, 0, 1, 3, 5, 8):
            for each in (torch.tensor(stop), torch.tensor([stop])):
                given = TensorSliceRule().replace(Tensor.__getitem__, (ROW, slice(start, each)), {})
                assert torch.equal(given, ROW[start:stop]), (start, stop)


def test_other_indices_are_left_alone() -> None:
    count = torch.tensor(2)
    for index in (
        slice(1, 3),
        slice(None, count, 2),
        slice(-3, count),
        (slice(None, count),),
        slice(count, 4),
    ):
        assert TensorSliceRule().replace(Tensor.__getitem__, (ROW, index), {}) is NotImplemented


class Histories(nn.Module):
    """Users' items from buffers."""

    items: Tensor
    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.item = nn.Embedding(30, 4)
        self.register_buffer("items", torch.randint(1, 30, (20, 6)))
        self.register_buffer("counts", torch.randint(1, 6, (20,)))


class Longest(Histories):
    """All items up to the longest history of the batch."""

    def forward(self, users: Tensor) -> Tensor:
        items, counts = self.items[users], self.counts[users]
        inside = torch.arange(6) < counts.unsqueeze(1)
        longest = int(inside.sum(1).max())
        result: Tensor = (self.item(items[:, :longest]) * inside[:, :longest, None]).sum(1)
        return result


class Own(Histories):
    """Each user's own items, and no padding that a softmax would see."""

    def forward(self, users: Tensor) -> Tensor:
        rows = []
        for row, count in zip(self.items[users], self.counts[users].unsqueeze(1), strict=True):
            seen = self.item(row[:count])
            rows.append((seen.sum(1).softmax(0).unsqueeze(1) * seen).sum(0) / count**0.5)
        return torch.stack(rows)


def test_histories_of_other_lengths_than_the_examples(far: Callable[..., Any]) -> None:
    module = Own()
    order = module.counts.argsort()
    far(module, (order[-3:],), (order[:3],), (order[[0, 10, 19]],), fixed=True)


def test_the_longest_history_keeps_the_batch_free(far: Callable[..., Any]) -> None:
    module = Longest()
    order = module.counts.argsort()
    far(module, (order[-3:],), (order[:7],), (order[:1],))
