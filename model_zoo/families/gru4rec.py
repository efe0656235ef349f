"""GRU4Rec: next-item scores from a gated recurrent unit over the session (Hidasi et al., 2016).

    z_t = σ(W_z x_t + U_z h_{t-1}),  r_t = σ(W_r x_t + U_r h_{t-1})      (equations 2 and 4)
    ĥ_t = tanh(W x_t + U (r_t ⊙ h_{t-1})),  h_t = (1 - z_t) ⊙ h_{t-1} + z_t ⊙ ĥ_t

as PyTorch computes it, with U applied before r_t. There are no biases, as in the paper, so that padding
before a history leaves the state at zero. A session goes on from its state by one item a call (`step`),
which gives what the whole history gives (`forward`). Trained with the full softmax at every position.
"""

from __future__ import annotations

from torch import Tensor, nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.training.loop import Schedule
from pocketrec.model_zoo.training.next_item import fit_next_item
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=40, patience=12, every=2, learning_rate=3e-3, weight_decay=0.01)
BATCH_SIZE = 128
DROPOUT = 0.3


class GRU4Rec(nn.Module):
    """Scores of all items from a left-padded history, or from one item and a state; one table for both."""

    def __init__(self, num_items: int, max_length: int, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.max_length = max_length
        self.item_embedding = nn.Embedding(num_items + 1, dim, padding_idx=0)
        self.gru = nn.GRU(dim, hidden, bias=False, batch_first=True)
        self.out = nn.Linear(hidden, dim)
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.item_embedding.weight[1:], std=dim**-0.5)

    def forward(self, history: Tensor) -> Tensor:
        """Scores `[B, num_items + 1]` of what comes after `history` `[B, T]`; entry 0 means nothing."""
        return self.score(self.encode(history)[:, -1])

    def step(self, item: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Scores after one more `item` `[B]`, and the next state `[B, hidden]`; sessions begin at zero."""
        states, _ = self.gru(self._embedded(item)[:, None], hidden[None])
        following = states[:, 0]
        return self.score(self.out(following)), following

    def encode(self, history: Tensor) -> Tensor:
        """What the output layer makes of the state after every position, `[B, T, d]`."""
        states, _ = self.gru(self.dropout(self._embedded(history)))
        encoded: Tensor = self.out(self.dropout(states))
        return encoded

    def score(self, states: Tensor) -> Tensor:
        """Scores of all items, `[..., num_items + 1]`."""
        return states @ self.item_embedding.weight.T

    def _embedded(self, items: Tensor) -> Tensor:
        """The items' vectors; zeros for padding, whose row training moves as the output of nothing."""
        vectors: Tensor = self.item_embedding(items)
        return vectors * (items != 0)[..., None].to(vectors.dtype)


def model(
    *,
    num_items: int,
    max_length: int = movielens.HISTORY_LENGTH,
    dim: int = 64,
    hidden: int = 128,
    dropout: float = 0.0,
) -> GRU4Rec:
    """A GRU4Rec in eval mode with random weights."""
    return GRU4Rec(num_items, max_length, dim, hidden, dropout).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> GRU4Rec:
    """A GRU4Rec trained on MovieLens-100K, in eval mode; the best epoch by NDCG@10 on validation."""
    net = model(num_items=len(movielens.item_vocabulary().tokens) - 1, dropout=DROPOUT)
    data = movielens.sequences(), movielens.leave_one_out(split="valid")
    fit_next_item(net, *data, schedule=schedule, batch_size=BATCH_SIZE, run=run)
    return net
