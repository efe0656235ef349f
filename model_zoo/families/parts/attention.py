"""The layers of a transformer over a history (Vaswani et al., 2017), normalised before each part."""

from __future__ import annotations

import torch
from torch import Tensor, nn

MASKED = -1e4  # finite in float16, and exp() of it is 0 in every precision


def feed_forward(dim: int, dropout: float) -> nn.Sequential:
    """Two layers on every position by itself, four times as wide between them."""
    return nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * dim, dim))


def split_heads(x: Tensor, heads: int) -> Tensor:
    """`x` `[B, T, d]` as `[B, heads, T, d / heads]`."""
    batch, length, dim = x.shape
    return x.reshape(batch, length, heads, dim // heads).transpose(1, 2)


def seen_before(history: Tensor) -> Tensor:
    """Where places of `history` `[B, T]` look, bool `[B, 1, T, T]`: themselves and before, no padding."""
    place = torch.arange(history.shape[1], device=history.device)
    causal = place[None, :] <= place[:, None]
    return causal & (history != 0)[:, None, None, :]


class SelfAttention(nn.Module):
    """Multi-head attention in which a position sees what it is allowed to, of its own sequence or another."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, allowed: Tensor, memory: Tensor | None = None) -> Tensor:
        """The values `[B, T, d]` of `memory` `[B, S, d]`, or `x`; `allowed` is bool `[B, 1, T or 1, S]`."""
        seen = x if memory is None else memory
        query, key, value = (
            split_heads(each, self.heads) for each in (self.query(x), self.key(seen), self.value(seen))
        )
        scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
        weights = torch.softmax(scores.masked_fill(~allowed, MASKED), dim=-1)
        attended: Tensor = self.out((self.dropout(weights) @ value).transpose(1, 2).flatten(2))
        return attended


class Block(nn.Module):
    """Attention and a feed-forward net, each normalised before and added after."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = SelfAttention(dim, heads, dropout)
        self.feed_forward_norm = nn.LayerNorm(dim)
        self.feed_forward = feed_forward(dim, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
        """The block's output `[B, T, d]`."""
        x = x + self.dropout(self.attention(self.attention_norm(x), allowed))
        out: Tensor = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        return out


class CrossBlock(nn.Module):
    """A block that sees what came before, and another sequence."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.attention = SelfAttention(dim, heads, dropout)
        self.cross = SelfAttention(dim, heads, dropout)
        self.feed_forward = feed_forward(dim, dropout)

    def forward(self, x: Tensor, memory: Tensor, before: Tensor, real: Tensor) -> Tensor:
        """The block's output `[B, L, d]`; bool: `before` `[B, 1, L, L]`, `real` `[B, 1, 1, S]`."""
        x = x + self.attention(self.norms[0](x), before)
        x = x + self.cross(self.norms[1](x), real, memory)
        out: Tensor = x + self.feed_forward(self.norms[2](x))
        return out
