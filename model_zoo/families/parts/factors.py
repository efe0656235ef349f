"""A user and an item as rows of two tables."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Factors(nn.Module):
    """Scores of all items for a user, who is known by an id; row 0 stands for everybody who is not known."""

    def __init__(self, *, users: int, items: int, dim: int) -> None:
        super().__init__()
        self.user_factors = nn.Embedding(users + 1, dim)
        self.item_factors = nn.Embedding(items + 1, dim, padding_idx=0)
        for rows in (self.user_factors.weight, self.item_factors.weight[1:]):
            nn.init.normal_(rows, std=0.1)

    def forward(self, user: Tensor) -> Tensor:
        """Scores `[B, items + 1]` for ids `[B]`; entry 0 means nothing."""
        scores: Tensor = self.user_factors(user) @ self.item_factors.weight.T
        return scores

    def vectors(self) -> tuple[Tensor, Tensor]:
        """The rows of users `[users + 1, dim]` and items `[items + 1, dim]` whose products are scores."""
        return self.user_factors.weight, self.item_factors.weight

    @torch.no_grad()
    def settle(self) -> None:
        """Makes the vectors the tables' rows; who is not known gets the mean of all who are."""
        for table, rows in zip((self.user_factors, self.item_factors), self.vectors(), strict=True):
            table.weight.copy_(rows.clone())
        self.user_factors.weight[0] = self.user_factors.weight[1:].mean(dim=0)
