"""LRURec: next-item scores from linear recurrent units over the history (Yue et al., 2024).

    h_k = λ ⊙ h_(k-1) + γ ⊙ B x_k,    y_k = Re(C h_k),    λ = exp(-exp(ν) + i exp(θ))

ν, θ and ln γ are learnt, so no |λ| reaches 1 (Orvieto et al., 2023). As the recurrence is linear, all places
are computed at once by recursive doubling: what reaches back 2s places is what reaches back s, and λ^s times
the same of s places before. Real and imaginary parts are apart, as no target has complex numbers. Layers
are normalised before each part, as those of the zoo's transformers, and the weights are left on a grid
that 8-bit codes hold.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families.parts.attention import feed_forward
from pocketrec.model_zoo.training.grid import to_grid
from pocketrec.model_zoo.training.loop import Schedule
from pocketrec.model_zoo.training.next_item import fit_next_item
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=24, patience=12, every=2, learning_rate=3e-3, weight_decay=0.01)
BATCH_SIZE = 128
DROPOUT = 0.4
RING = (0.8, 0.99)  # between which |λ| lies before training


class LinearRecurrence(nn.Module):
    """What a recurrence with a diagonal of complex numbers makes of a sequence, at every place."""

    def __init__(self, dim: int, states: int, max_length: int) -> None:
        super().__init__()
        self.max_length = max_length
        self.into = nn.Linear(dim, 2 * states)
        self.out = nn.Linear(2 * states, dim)
        inner, outer = (each**2 for each in RING)
        size = (inner + (outer - inner) * torch.rand(states)).sqrt()
        self.log_decay = nn.Parameter((-size.log()).log())
        self.log_phase = nn.Parameter((2 * math.pi * torch.rand(states)).log())
        self.log_gain = nn.Parameter((1 - size.square()).sqrt().log())

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """The outputs `[B, T, d]`; places of `x` `[B, T, d]` at which `real` `[B, T, 1]` is 0 add nothing."""
        gain = self.log_gain.exp()
        re, im = (each * gain * real for each in self.into(x).chunk(2, dim=-1))
        reach = 1
        while reach < self.max_length:
            power_re, power_im = self.power(reach)
            before_re, before_im = (F.pad(each, (0, 0, reach, 0))[:, : x.shape[1]] for each in (re, im))
            re, im = (
                re + power_re * before_re - power_im * before_im,
                im + power_re * before_im + power_im * before_re,
            )
            reach *= 2
        states: Tensor = self.out(torch.cat([re, im], dim=-1))
        return states

    def power(self, exponent: int) -> tuple[Tensor, Tensor]:
        """The real and the imaginary parts of λ to the `exponent`, `[states]` each."""
        size = (-exponent * self.log_decay.exp()).exp()
        angle = exponent * self.log_phase.exp()
        return size * angle.cos(), size * angle.sin()


class Block(nn.Module):
    """A recurrence and a feed-forward net, each normalised before and added after."""

    def __init__(self, dim: int, states: int, max_length: int, dropout: float) -> None:
        super().__init__()
        self.recurrence_norm = nn.LayerNorm(dim)
        self.recurrence = LinearRecurrence(dim, states, max_length)
        self.feed_forward_norm = nn.LayerNorm(dim)
        self.feed_forward = feed_forward(dim, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """The block's output `[B, T, d]`."""
        x = x + self.dropout(self.recurrence(self.recurrence_norm(x), real))
        out: Tensor = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        return out


class LRURec(nn.Module):
    """Scores of all items from a left-padded history; the item table serves both ends."""

    def __init__(
        self, num_items: int, max_length: int, dim: int, hidden: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.max_length = max_length
        self.item_embedding = nn.Embedding(num_items + 1, dim, padding_idx=0)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(dim, hidden, max_length, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        nn.init.normal_(self.item_embedding.weight[1:], std=dim**-0.5)

    def forward(self, history: Tensor) -> Tensor:
        """Scores `[B, num_items + 1]` of what comes after `history` `[B, T]`; entry 0 means nothing."""
        return self.score(self.encode(history)[:, -1])

    def encode(self, history: Tensor) -> Tensor:
        """The state after every position, `[B, T, d]`."""
        x = self.dropout(self.item_embedding(history))
        real = (history != 0)[..., None].to(x.dtype)
        for block in self.blocks:
            x = block(x, real)
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
    hidden: int = 128,
    layers: int = 2,
    dropout: float = 0.0,
) -> LRURec:
    """An LRURec in eval mode with random weights."""
    return LRURec(num_items, max_length, dim, hidden, layers, dropout).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> LRURec:
    """An LRURec trained on MovieLens-100K, in eval mode; the best epoch by NDCG@10 on validation."""
    net = model(num_items=len(movielens.item_vocabulary().tokens) - 1, dropout=DROPOUT)
    data = movielens.sequences(), movielens.leave_one_out(split="valid")
    fit_next_item(net, *data, schedule=schedule, batch_size=BATCH_SIZE, run=run)
    to_grid(net)
    return net
