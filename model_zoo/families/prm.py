"""PRM: a list put in a better order by a transformer that sees all of it (Pei et al., 2019).

    E_i = x_i + PV_i + PE_i        A = softmax(Q K^T / sqrt(d)) V        P(y_i) = softmax_i(w . F_i + b)

x_i is an item of the initial list, PV_i what is known of this user and it, PE_i the place that the initial
ranker gave it, F_i what the transformer makes of all of them (their eq. 1 to 8). Lists are those of step
counts (`training.lists`); PV_i is the item times what the user watched last, W sum_t a_t h_t, by recency. The
table begins as SASRec's, as their PV comes from a model before.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families.parts.attention import MASKED, Block
from pocketrec.model_zoo.families.parts.pooling import pooled
from pocketrec.model_zoo.family import weights_of
from pocketrec.model_zoo.training.lists import LENGTH, markov_lists
from pocketrec.model_zoo.training.loop import Schedule, fit, measured, shuffled, to_tensors
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=12, patience=4, learning_rate=1e-3, weight_decay=0.05)
BATCH_SIZE = 256
DROPOUT = 0.3


class PRM(nn.Module):
    """Scores of the places of a list, from the list and what the user watched last."""

    def __init__(
        self,
        *,
        num_items: int,
        length: int,
        max_history: int,
        dim: int,
        heads: int,
        layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.max_history = max_history
        self.item_embedding = nn.Embedding(num_items + 1, dim, padding_idx=0)
        self.recency = nn.Parameter(-0.1 * torch.arange(max_history - 1, -1, -1, dtype=torch.float32))
        self.personal = nn.Linear(dim, dim)
        self.place_embedding = nn.Parameter(0.02 * torch.randn(length, dim))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(dim, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self.score = nn.Linear(dim, 1)

    def forward(self, candidates: Tensor, history: Tensor) -> Tensor:
        """Scores `[B, length]` of right-padded `candidates` `[B, length]` after `history` `[B, T]`."""
        real = candidates != 0
        person = self.personal(self.person(history)).unsqueeze(1)
        items = self.item_embedding(candidates)
        x = self.dropout(items + items * person + self.place_embedding)
        for block in self.blocks:
            x = block(x, real[:, None, None, :])
        scores: Tensor = self.score(self.norm(x)).squeeze(-1).masked_fill(~real, MASKED)
        return scores

    def person(self, history: Tensor) -> Tensor:
        """The mean of a left-padded history by recency, `[B, dim]`; of an empty one zero."""
        real = history != 0
        # Counted from the right, so that a short history means the same with and without padding.
        recency = self.recency[self.max_history - history.shape[1] :, None]
        return pooled(self.item_embedding(history), recency, real)


def model(
    *,
    num_items: int,
    list_length: int = LENGTH,
    max_length: int = movielens.HISTORY_LENGTH,
    dim: int = 64,
    heads: int = 2,
    layers: int = 1,
    dropout: float = 0.0,
) -> PRM:
    """A PRM in eval mode with random weights."""
    return PRM(
        num_items=num_items,
        length=list_length,
        max_history=max_length,
        dim=dim,
        heads=heads,
        layers=layers,
        dropout=dropout,
    ).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> PRM:
    """A PRM trained on lists of MovieLens-100K, in eval mode; the best epoch by NDCG@10 on validation."""
    net = model(num_items=len(movielens.item_vocabulary().tokens) - 1, dropout=DROPOUT)
    before = load_file(weights_of("sasrec"))
    net.item_embedding.weight.data.copy_(before["item_embedding.weight"])
    lists, valid = markov_lists(split="train"), markov_lists(split="valid")
    inputs, places = to_tensors(lists.inputs), torch.from_numpy(lists.positives)

    def losses() -> Iterator[Tensor]:
        for rows in shuffled(len(places), BATCH_SIZE, run.rng):
            scores = net(**{name: each[rows] for name, each in inputs.items()})
            yield F.cross_entropy(scores, places[rows])

    def measure() -> float:
        return measured(lambda batch: net(**batch), valid)[1]

    fit(net, losses=losses, measure=measure, schedule=schedule, run=run)
    return net
