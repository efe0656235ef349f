"""BERT4Rec: next-item scores from a bidirectional transformer that fills gaps (Sun et al., 2019).

    P(v) = softmax(GELU(h W_P + b_P) Eᵀ + b_O)                    (equation 7, over the whole catalogue)

Trained as a cloze: items of a history are hidden behind a mask, and each is told from both of its sides. To
ask what comes next, a mask is put behind the history; so that training sees that, too, some windows hide
their last item alone, as in the paper. Layers are normalised before each part, as those of the zoo's other
transformers, and the weights are left on a grid that 8-bit codes hold.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families.parts.attention import Block
from pocketrec.model_zoo.training.grid import to_grid
from pocketrec.model_zoo.training.loop import Schedule
from pocketrec.model_zoo.training.next_item import fit_next_item
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=100, patience=28, every=4, learning_rate=2e-3, weight_decay=0.01)
BATCH_SIZE = 128
DROPOUT = 0.2
HIDDEN = 0.2  # ρ of the paper: the share of a window's items that training hides
LAST_ALONE = 0.25  # the share of windows that hide nothing but their last item


class BERT4Rec(nn.Module):
    """Scores of all items from a left-padded history; one table for both ends, whose last row is the mask."""

    def __init__(
        self, num_items: int, max_length: int, dim: int, heads: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.max_length = max_length
        self.mask_id = num_items + 1
        self.item_embedding = nn.Embedding(num_items + 2, dim, padding_idx=0)
        self.position_embedding = nn.Embedding(max_length + 1, dim)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(dim, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self.project = nn.Sequential(nn.Linear(dim, dim), nn.GELU())
        self.bias = nn.Parameter(torch.zeros(num_items + 1))
        nn.init.normal_(self.item_embedding.weight[1:], std=dim**-0.5)
        nn.init.normal_(self.position_embedding.weight, std=dim**-0.5)

    def forward(self, history: Tensor) -> Tensor:
        """Scores `[B, num_items + 1]` of what comes after `history` `[B, T]`; entry 0 means nothing."""
        return self.score(self.encode(F.pad(history, (0, 1), value=self.mask_id))[:, -1])

    def encode(self, history: Tensor) -> Tensor:
        """The state at every position, `[B, T, d]`, of a history that has masks among its items."""
        # Counted from the right, so that a short history means the same with and without padding.
        positions = self.position_embedding.weight[self.max_length + 1 - history.shape[1] :]
        x = self.dropout(self.item_embedding(history) + positions)
        allowed = (history != 0)[:, None, None, :]
        for block in self.blocks:
            x = block(x, allowed)
        states: Tensor = self.norm(x)
        return states

    def score(self, states: Tensor) -> Tensor:
        """Scores of all items, `[..., num_items + 1]`; the mask is none."""
        projected: Tensor = self.project(states)
        return projected @ self.item_embedding.weight[: self.mask_id].T + self.bias


def cloze_loss(net: BERT4Rec, windows: Tensor) -> Tensor:
    """The mean cross entropy of what `gaps` hides of `windows` `[B, T]`."""
    hidden = gaps(windows)
    states = net.encode(windows.masked_fill(hidden, net.mask_id))
    return F.cross_entropy(net.score(states[hidden]), windows[hidden].long())


def gaps(windows: Tensor) -> Tensor:
    """Which items of left-padded `windows` `[B, T]` to hide, bool: some at random, or the last alone."""
    hidden = (torch.rand(windows.shape) < HIDDEN) & (windows != 0)
    last = torch.zeros_like(hidden)
    last[:, -1] = True
    alone = (torch.rand(len(windows), 1) < LAST_ALONE) | ~hidden.any(dim=1, keepdim=True)
    return torch.where(alone, last, hidden)


def model(
    *,
    num_items: int,
    max_length: int = movielens.HISTORY_LENGTH,
    dim: int = 64,
    heads: int = 2,
    layers: int = 2,
    dropout: float = 0.0,
) -> BERT4Rec:
    """A BERT4Rec in eval mode with random weights."""
    return BERT4Rec(num_items, max_length, dim, heads, layers, dropout).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> BERT4Rec:
    """A BERT4Rec trained on MovieLens-100K, in eval mode; the best epoch by NDCG@10 on validation."""
    net = model(num_items=len(movielens.item_vocabulary().tokens) - 1, dropout=DROPOUT)
    fit_next_item(
        net,
        movielens.sequences(),
        movielens.leave_one_out(split="valid"),
        schedule=schedule,
        batch_size=BATCH_SIZE,
        run=run,
        loss=lambda _, windows: cloze_loss(net, windows),
    )
    to_grid(net)
    return net
