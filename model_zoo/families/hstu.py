"""HSTU: next-item scores from pointwise attention over places and times (Zhai et al., 2024).

    U, V, Q, K = split(SiLU(f₁(X)))                       (equation 1)
    A V = SiLU(Q Kᵀ + rab) V / N                          (equation 2), rab of places and of times
    Y = f₂(norm(A V) ⊙ U) + X                             (equation 3)

There is no softmax, so how much there is to attend to is not lost. The bias of times is learned for powers
of two of the minutes between an item and the next one to be recommended; they are compared as integers,
because float16 cannot hold the minutes of a year. Trained with the full softmax at every position, and left
on a grid that 8-bit codes hold.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families.parts.attention import seen_before, split_heads
from pocketrec.model_zoo.training.grid import to_grid
from pocketrec.model_zoo.training.loop import Schedule
from pocketrec.model_zoo.training.next_item import fit_next_item
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=40, patience=12, every=2, learning_rate=3e-3, weight_decay=0.01)
BATCH_SIZE = 128
DROPOUT = 0.3


class RelativeBias(nn.Module):
    """What is added to the scores of two places, by the places and the minutes between them."""

    def __init__(self, heads: int, max_length: int, time_buckets: int) -> None:
        super().__init__()
        self.place = nn.Embedding(max_length, heads)
        self.time = nn.Embedding(time_buckets + 1, heads)
        nn.init.normal_(self.place.weight, std=0.02)
        nn.init.normal_(self.time.weight, std=0.02)
        self.starts: Tensor
        self.register_buffer("starts", 2 ** torch.arange(time_buckets, dtype=torch.int32), persistent=False)

    def forward(self, minutes_ago: Tensor) -> Tensor:
        """The bias `[B, heads, T, T]` of asking after place i (rows) about place j, for ages `[B, T]`."""
        asked = F.pad(minutes_ago, (0, 1))[:, 1:]  # the next item's age; what is recommended is now
        between = minutes_ago[:, None, :] - asked[:, :, None]
        bucket = (between[..., None] >= self.starts).sum(dim=-1)
        place = torch.arange(minutes_ago.shape[1], device=minutes_ago.device)
        behind = (place[:, None] - place[None, :]).clamp(min=0)
        bias: Tensor = self.place(behind) + self.time(bucket)
        return bias.permute(0, 3, 1, 2)


class Layer(nn.Module):
    """One layer: what each place takes from those before it, gated by itself."""

    def __init__(self, dim: int, heads: int, max_length: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.scale = 1 / max_length  # N of the paper
        self.norm = nn.LayerNorm(dim)
        self.into = nn.Linear(dim, 4 * dim)
        self.attended_norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, bias: Tensor, visible: Tensor) -> Tensor:
        """The layer's output `[B, T, d]`; `visible` `[B, 1, T, T]` is 1 where a row may look, else 0."""
        gate, *rest = F.silu(self.into(self.norm(x))).chunk(4, dim=-1)
        value, query, key = (split_heads(each, self.heads) for each in rest)
        weights = F.silu(query @ key.transpose(-2, -1) + bias) * visible * self.scale
        attended = (weights @ value).transpose(1, 2).flatten(2)
        out: Tensor = x + self.out(self.dropout(self.attended_norm(attended) * gate))
        return out


class HSTU(nn.Module):
    """Scores of all items from a left-padded history with its times; the item table serves both ends."""

    def __init__(
        self,
        num_items: int,
        max_length: int,
        dim: int,
        heads: int,
        layers: int,
        time_buckets: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.max_length = max_length
        self.item_embedding = nn.Embedding(num_items + 1, dim, padding_idx=0)
        self.dropout = nn.Dropout(dropout)
        self.bias = RelativeBias(heads, max_length, time_buckets)
        self.layers = nn.ModuleList(Layer(dim, heads, max_length, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        nn.init.normal_(self.item_embedding.weight[1:], std=dim**-0.5)

    def forward(self, history: Tensor, minutes_ago: Tensor) -> Tensor:
        """Scores `[B, num_items + 1]` of what comes after `history` `[B, T]`, whose items are so old."""
        return self.score(self.encode(history, minutes_ago)[:, -1])

    def encode(self, history: Tensor, minutes_ago: Tensor) -> Tensor:
        """The state after every position, `[B, T, d]`; only differences of ages matter but after the last."""
        x = self.dropout(self.item_embedding(history))
        bias, visible = self.bias(minutes_ago), seen_before(history).to(x.dtype)
        for layer in self.layers:
            x = layer(x, bias, visible)
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
    heads: int = 2,
    layers: int = 2,
    time_buckets: int = 20,
    dropout: float = 0.0,
) -> HSTU:
    """An HSTU in eval mode with random weights; its last bucket begins at 2^(time_buckets - 1) minutes."""
    return HSTU(num_items, max_length, dim, heads, layers, time_buckets, dropout).eval()


def loss_at(net: HSTU, items: Tensor, minutes: Tensor) -> Callable[[object, Tensor], Tensor]:
    """The loss of windows `[B, T + 1]` of rows of `items` and `minutes`; row 0 pads."""

    def loss(_: object, windows: Tensor) -> Tensor:
        rows = windows.long()
        history, following = items[rows[:, :-1]], items[rows[:, 1:]].long()
        ago = (minutes[rows[:, -1:]] - minutes[rows[:, :-1]]).masked_fill(history == 0, 0)
        real = (history != 0) & (following != 0)
        return F.cross_entropy(net.score(net.encode(history, ago)[real]), following[real])

    return loss


def train(run: Run, schedule: Schedule = SCHEDULE) -> HSTU:
    """An HSTU trained on MovieLens-100K, in eval mode; the best epoch by NDCG@10 on validation."""
    net = model(num_items=len(movielens.item_vocabulary().tokens) - 1, dropout=DROPOUT)
    sequences = movielens.sequences()
    items, minutes = (
        torch.from_numpy(np.concatenate([np.zeros(1, np.int32), *each]))
        for each in (sequences, movielens.minutes())
    )
    ends = np.cumsum([1, *map(len, sequences)], dtype=np.int32)
    rows = [np.arange(*each, dtype=np.int32) for each in pairwise(ends)]
    fit_next_item(
        net,
        rows,
        movielens.leave_one_out_with_minutes(split="valid"),
        schedule=schedule,
        batch_size=BATCH_SIZE,
        run=run,
        loss=loss_at(net, items, minutes),
    )
    to_grid(net)
    return net
