"""A history as one vector: weighted means of its items."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pocketrec.model_zoo.families.parts.attention import MASKED


def pooled(embedded: Tensor, logits: Tensor, real: Tensor) -> Tensor:
    """Weighted means `[B, heads * d]` of `embedded` `[B, T, d]` where `real` `[B, T]` is true.

    Weights are the softmax over places of `logits`, `[B, T, heads]` or `[T, heads]`; an empty history is 0.
    """
    masked = logits.masked_fill(~real.unsqueeze(-1), MASKED)
    weights = torch.softmax(masked, dim=1) * real.unsqueeze(-1)
    return (weights.transpose(1, 2) @ embedded).flatten(1)


class HistoryPooling(nn.Module):
    """Weighted means of a sequence, one per head; weights come from the item and its recency."""

    def __init__(self, dim: int, heads: int, max_length: int) -> None:
        super().__init__()
        self.max_length = max_length
        self.importance = nn.Linear(dim, heads)
        self.recency = nn.Parameter(torch.zeros(max_length, heads))

    def forward(self, embedded: Tensor, real: Tensor) -> Tensor:
        """Pooled vectors `[B, heads * d]` of `embedded` `[B, T, d]` where `real` `[B, T]` is true."""
        # Counted from the right, so that a short history means the same with and without padding.
        recency = self.recency[self.max_length - embedded.shape[1] :]
        return pooled(embedded, self.importance(embedded) + recency, real)
