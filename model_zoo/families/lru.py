"""LRURec: next-item scores from a linear recurrence with complex eigenvalues (Yue et al., 2024).

    h_t = Λ h_{t-1} + γ ⊙ (B x_t),  y_t = Re(C h_t)
    Λ = diag(exp(-exp(ν) + i·exp(θ))),  γ = sqrt(1 - |Λ|²)

The recurrence is linear, so all positions of a history are computed at once, in as many rounds as doubling
takes to cover it: after round r a state holds what the last 2^r items say. Real and imaginary parts are kept
apart, since neither target has complex numbers. Trained with the full softmax at every position.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families.parts.attention import feed_forward
from pocketrec.model_zoo.training.loop import Schedule
from pocketrec.model_zoo.training.next_item import fit_next_item
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=20, patience=8, every=4, learning_rate=3e-3, weight_decay=0.01)
BATCH_SIZE = 128
DROPOUT = 0.3
SLOWEST, FASTEST = 0.99, 0.8  # what is left of a state after one item, at the start of training


class LinearRecurrence(nn.Module):
    """A linear recurrent unit; what is padded adds nothing to the state."""

    def __init__(self, dim: int, max_length: int) -> None:
        super().__init__()
        self.rounds = math.ceil(math.log2(max_length))
        left = FASTEST + (SLOWEST - FASTEST) * torch.rand(dim)
        self.decay_log = nn.Parameter(torch.log(-torch.log(left)))
        self.angle_log = nn.Parameter(torch.log(torch.pi * torch.rand(dim).clamp(min=1e-3)))
        self.into = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(2 * dim, dim)

    def forward(self, x: Tensor, real_items: Tensor) -> Tensor:
        """The read state after every position, `[B, T, d]`; `real_items` `[B, T, 1]` is 0 at padding."""
        decay, angle = torch.exp(self.decay_log), torch.exp(self.angle_log)
        gamma = torch.sqrt(1 - torch.exp(-2 * decay))
        real, imaginary = (each * gamma * real_items for each in self.into(x).chunk(2, dim=-1))
        for size in (2**number for number in range(self.rounds)):
            kept = torch.exp(-size * decay)  # Λ to the power of size
            cos, sin = kept * torch.cos(size * angle), kept * torch.sin(size * angle)
            before, before_imaginary = _later(real, size), _later(imaginary, size)
            real, imaginary = (
                real + cos * before - sin * before_imaginary,
                imaginary + cos * before_imaginary + sin * before,
            )
        read: Tensor = self.out(torch.cat((real, imaginary), dim=-1))
        return read


def _later(x: Tensor, size: int) -> Tensor:
    """Every position's `x` `[B, T, d]` so many positions later, after zeros."""
    return F.pad(x, (0, 0, size, 0))[:, : x.shape[1]]


class Block(nn.Module):
    """A recurrence and a feed-forward net, each normalised before and added after."""

    def __init__(self, dim: int, max_length: int, dropout: float) -> None:
        super().__init__()
        self.recurrence_norm = nn.LayerNorm(dim)
        self.recurrence = LinearRecurrence(dim, max_length)
        self.feed_forward_norm = nn.LayerNorm(dim)
        self.feed_forward = feed_forward(dim, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, real_items: Tensor) -> Tensor:
        """The block's output `[B, T, d]`."""
        x = x + self.dropout(self.recurrence(self.recurrence_norm(x), real_items))
        out: Tensor = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        return out


class LRURec(nn.Module):
    """Scores of all items from a left-padded history; one table for both ends, no positions."""

    def __init__(self, num_items: int, max_length: int, dim: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.max_length = max_length
        self.item_embedding = nn.Embedding(num_items + 1, dim, padding_idx=0)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(dim, max_length, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        nn.init.normal_(self.item_embedding.weight[1:], std=dim**-0.5)

    def forward(self, history: Tensor) -> Tensor:
        """Scores `[B, num_items + 1]` of what comes after `history` `[B, T]`; entry 0 means nothing."""
        return self.score(self.encode(history)[:, -1])

    def encode(self, history: Tensor) -> Tensor:
        """The state after every position, `[B, T, d]`."""
        x = self.dropout(self.item_embedding(history))
        real_items = (history != 0)[:, :, None].to(x.dtype)
        for block in self.blocks:
            x = block(x, real_items)
        states: Tensor = self.norm(x)
        return states

    def score(self, states: Tensor) -> Tensor:
        """Scores of all items, `[..., num_items + 1]`."""
        return states @ self.item_embedding.weight.T


def model(
    *,
    num_items: int,
    max_length: int = movielens.HISTORY_LENGTH,
    dim: int = 64,
    layers: int = 2,
    dropout: float = 0.0,
) -> LRURec:
    """An LRURec in eval mode with random weights."""
    return LRURec(num_items, max_length, dim, layers, dropout).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> LRURec:
    """An LRURec trained on MovieLens-100K, in eval mode; the best epoch by NDCG@10 on validation."""
    net = model(num_items=len(movielens.item_vocabulary().tokens) - 1, dropout=DROPOUT)
    data = movielens.sequences(), movielens.leave_one_out(split="valid")
    fit_next_item(net, *data, schedule=schedule, batch_size=BATCH_SIZE, run=run)
    return net
