"""What is known of a person in Open Bandit, as a vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PersonNet(nn.Module):
    """A vector between -1 and 1 from four ids: a table for each, and two layers."""

    def __init__(self, *, sizes: tuple[int, ...], hidden: int, dim: int) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(size + 1, hidden // 2) for size in sizes)
        self.layers = nn.Sequential(
            nn.Linear(len(sizes) * (hidden // 2), hidden), nn.ReLU(), nn.Linear(hidden, dim), nn.Tanh()
        )

    def forward(self, ids: tuple[Tensor, ...]) -> Tensor:
        """`[B, dim]` from ids `[B]`, in the order of the sizes."""
        rows = [table(each) for table, each in zip(self.tables, ids, strict=True)]
        found: Tensor = self.layers(torch.cat(rows, dim=-1))
        return found
