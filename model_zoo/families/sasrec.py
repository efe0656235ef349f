"""SASRec: next-item scores from a causal transformer over the history (Kang and McAuley, 2018).

Trained with the full softmax over the catalogue at every position (Klenitskiy and Vasilev, 2023,
show that this, not the architecture, is what separates it from BERT4Rec).
"""

from __future__ import annotations

from torch import Tensor, nn

from pocketrec.model_zoo.data import amazon, movielens
from pocketrec.model_zoo.families.parts.attention import Block, seen_before
from pocketrec.model_zoo.training.loop import Schedule
from pocketrec.model_zoo.training.next_item import fit_next_item
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=36, patience=12, every=2, learning_rate=3e-3, weight_decay=0.01)
BATCH_SIZE = 128
DROPOUT = 0.3
BEAUTY = Schedule(epochs=32, patience=12, every=4, learning_rate=2e-3, weight_decay=0.01)
BEAUTY_BATCH_SIZE = 32
BEAUTY_DROPOUT = 0.5  # its histories are short, and most of its products were bought a few times


class SASRec(nn.Module):
    """Scores of all items from a left-padded history; the item table serves both ends."""

    def __init__(
        self, num_items: int, max_length: int, dim: int, heads: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.max_length = max_length
        self.item_embedding = nn.Embedding(num_items + 1, dim, padding_idx=0)
        self.position_embedding = nn.Embedding(max_length, dim)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(dim, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        nn.init.normal_(self.item_embedding.weight[1:], std=dim**-0.5)
        nn.init.normal_(self.position_embedding.weight, std=dim**-0.5)

    def forward(self, history: Tensor) -> Tensor:
        """Scores `[B, num_items + 1]` of what comes after `history` `[B, T]`; entry 0 means nothing."""
        return self.score(self.encode(history)[:, -1])

    def encode(self, history: Tensor) -> Tensor:
        """The state after every position, `[B, T, d]`."""
        length = history.shape[1]
        # Counted from the right, so that a short history means the same with and without padding.
        positions = self.position_embedding.weight[self.max_length - length :]
        x = self.dropout(self.item_embedding(history) + positions)
        allowed = seen_before(history)
        for block in self.blocks:
            x = block(x, allowed)
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
    dropout: float = 0.0,
) -> SASRec:
    """A SASRec in eval mode with random weights."""
    net = SASRec(num_items, max_length, dim, heads, layers, dropout)
    return net.eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> SASRec:
    """A SASRec trained on MovieLens-100K, in eval mode; the best epoch by NDCG@10 on validation."""
    net = model(num_items=len(movielens.item_vocabulary().tokens) - 1, dropout=DROPOUT)
    data = movielens.sequences(), movielens.leave_one_out(split="valid")
    fit_next_item(net, *data, schedule=schedule, batch_size=BATCH_SIZE, run=run)
    return net


def train_beauty(run: Run, schedule: Schedule = BEAUTY) -> SASRec:
    """A SASRec trained on Beauty, in eval mode; the best epoch by NDCG@10 on validation."""
    return train_shop(run, "amazon-beauty", len(amazon.beauty_items().tokens) - 1, schedule)


def train_shop(run: Run, data: str, num_items: int, schedule: Schedule = BEAUTY) -> SASRec:
    """The same of one of the Amazon sets, by its name, and so many items."""
    net = model(num_items=num_items, max_length=amazon.HISTORY_LENGTH, dropout=BEAUTY_DROPOUT)
    known = amazon.sequences(data=data), amazon.leave_one_out(data=data, split="valid")
    fit_next_item(net, *known, schedule=schedule, batch_size=BEAUTY_BATCH_SIZE, run=run)
    return net
