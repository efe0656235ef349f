"""TIGER: the next item is spelled, code by code, by a transformer (Rajput et al., 2023).

An item's semantic id is what an RQ-VAE makes of its features, p(i | u) = Π_d p(c_d | c_1 … c_{d−1}, u);
encoder and decoder are T5's with places for distances. The features are SASRec's table and genres.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load
from torch import Tensor, nn

from pocketrec.contract import Vocabulary
from pocketrec.errors import DataError
from pocketrec.evaluation import RankingData
from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.data.sequences import left_pad, training_parts
from pocketrec.model_zoo.families.parts.attention import Block, CrossBlock
from pocketrec.model_zoo.families.parts.rqvae import semantic_ids
from pocketrec.model_zoo.family import weights_of
from pocketrec.model_zoo.training.generative import hit_rate_and_ndcg_of
from pocketrec.model_zoo.training.loop import Schedule, fit, shuffled
from pocketrec.model_zoo.training.run import Run
from pocketrec.outside import read_file

LEVELS, CODES = 3, 32  # codes of a level; the last level, which tells items apart, has as many
HISTORY = 12  # items
SCHEDULE = Schedule(epochs=16, patience=6, every=2, learning_rate=2e-3, weight_decay=0.01)
BATCH_SIZE = 256
EXAMPLES = 12_000  # an epoch
VALIDATED = 256  # users
DROPOUT = 0.2
_LARGEST = 1 << 24  # bytes


class Tiger(nn.Module):
    """Encoder and decoder over codes; `spelled` holds the codes of every item, and zeros for padding."""

    spelled: Tensor

    def __init__(
        self,
        *,
        num_items: int,
        num_codes: int,
        length: int,
        dim: int,
        heads: int,
        layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.most = length // (LEVELS + 1)  # items of a history
        self.code_embedding = nn.Embedding(num_codes + 1, dim)  # 0 pads a history, and begins an item
        self.position_embedding = nn.Embedding(length, dim)
        self.dropout = nn.Dropout(dropout)
        self.encoder = nn.ModuleList(Block(dim, heads, dropout) for _ in range(layers))
        self.decoder = nn.ModuleList(CrossBlock(dim, heads, dropout) for _ in range(layers))
        self.norm, self.last_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.register_buffer("spelled", torch.zeros(num_items + 1, LEVELS + 1, dtype=torch.int32))
        nn.init.normal_(self.code_embedding.weight, std=dim**-0.5)
        nn.init.normal_(self.position_embedding.weight, std=dim**-0.5)

    def encode(self, history: Tensor) -> Tensor:
        """A vector for every code of a left-padded history `[B, S]`: `[B, S, d]`."""
        x = self.dropout(self.code_embedding(history) + self.position_embedding.weight)
        for block in self.encoder:
            x = block(x, _real(history))
        memory: Tensor = self.norm(x)
        return memory

    def decode(self, history: Tensor, memory: Tensor, prefix: Tensor) -> Tensor:
        """Logits `[B, num_codes + 1]` of the code that follows a left-padded prefix `[B, L]`."""
        return self.spell(history, memory, prefix)[:, -1]

    def spell(self, history: Tensor, memory: Tensor, prefix: Tensor) -> Tensor:
        """Logits after every place of a prefix, `[B, L, num_codes + 1]`."""
        x = self.dropout(self.code_embedding(prefix))
        place = torch.arange(prefix.shape[1], device=prefix.device)
        before = (place[None, :] < place[:, None]) & _real(prefix) | (place[None, :] == place[:, None])
        for block in self.decoder:
            x = block(x, memory, before, _real(history))
        logits: Tensor = self.last_norm(x) @ self.code_embedding.weight.T
        return logits


def _real(codes: Tensor) -> Tensor:
    return (codes != 0)[:, None, None, :]


def model(
    *,
    num_items: int,
    num_codes: int = (LEVELS + 1) * CODES,
    length: int = HISTORY * (LEVELS + 1),
    dim: int = 64,
    heads: int = 4,
    layers: int = 2,
    dropout: float = 0.0,
) -> Tiger:
    """A Tiger in eval mode with random weights, and items that are not spelled yet."""
    numbers = {"num_items": num_items, "num_codes": num_codes, "length": length}
    return Tiger(**numbers, dim=dim, heads=heads, layers=layers, dropout=dropout).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> Tiger:
    """A Tiger trained on MovieLens-100K, in eval mode; the best epoch by NDCG@10 on validation."""
    net = model(num_items=len(movielens.item_vocabulary().tokens) - 1, dropout=DROPOUT)
    ids = semantic_ids(_features(), levels=LEVELS, codes=CODES)
    if int(ids[:, -1].max()) >= CODES:
        raise DataError(f"tiger: {int(ids[:, -1].max()) + 1} items have the same codes, more than {CODES}")
    net.spelled[1:] = (ids + torch.arange(LEVELS + 1) * CODES + 1).int()
    valid = movielens.leave_one_out(split="valid")
    users = next(iter(valid.parts(VALIDATED)))
    parts = training_parts(movielens.sequences())
    lengths = np.array([len(each) for each in parts])

    def losses() -> Iterator[Tensor]:
        users = run.rng.choice(len(parts), EXAMPLES, p=lengths / lengths.sum())
        ends = run.rng.integers(1, lengths[users])
        items = left_pad([parts[user][: end + 1] for user, end in zip(users, ends, strict=True)], HISTORY + 1)
        for rows in shuffled(EXAMPLES, BATCH_SIZE, run.rng):
            yield _loss(net, torch.from_numpy(items[rows]).long())

    def measure() -> float:
        return hit_rate_and_ndcg_of(net, users)[1]

    fit(net, losses=losses, measure=measure, schedule=schedule, run=run)
    return net


def _loss(net: Tiger, items: Tensor) -> Tensor:
    """The mean cross entropy of every code of the last item, after those before it."""
    history, target = net.spelled[items[:, :-1]].flatten(1), net.spelled[items[:, -1]].long()
    logits = net.spell(history, net.encode(history), F.pad(target[:, :-1], (1, 0)))
    return F.cross_entropy(logits.flatten(0, 1), target.flatten())


def _features() -> Tensor:
    """What the semantic ids are made of, `[num_items, width]`, both parts of variance 1."""
    content = read_file(weights_of("sasrec"), largest=_LARGEST, error=DataError, remedy="train it")
    table = load(content)["item_embedding.weight"][1:].float()
    genres = F.one_hot(torch.from_numpy(movielens.item_features()["genres"][1:]).long()).amax(dim=1)[:, 1:]
    return torch.cat([table / table.std(), genres / genres.float().std()], dim=1)


def code_vocabulary() -> Vocabulary:
    """The codes, by level and number; id 0 pads, and begins an item."""
    names = (f"{'abcd'[level]}{code}" for level in range(LEVELS + 1) for code in range(CODES))
    return Vocabulary(tokens=("<pad>", *names))


def spellings() -> Vocabulary:
    """The codes of every item, as the trained weights have them; blank for what pads."""
    rows = trained().spelled[1:].tolist()
    return Vocabulary(tokens=("", *(" ".join(map(str, row)) for row in rows)))


def next_codes() -> RankingData:
    """Ranking data of one code of each user's test item, in turns the first, second, third and last."""
    net, data = trained(), movielens.leave_one_out()
    items = torch.from_numpy(np.concatenate([data.inputs["history"], data.positives[:, None]], axis=1)).long()
    history = net.spelled[items[:, -1 - HISTORY : -1]].flatten(1)
    spelled, rows = net.spelled[items[:, -1]].numpy(), np.arange(len(items))
    depth = rows % (LEVELS + 1)
    prefix = left_pad([spelled[row, : depth[row]] for row in rows], LEVELS + 1)
    with torch.no_grad():
        memory = net.encode(history).numpy()
    return RankingData(
        inputs={"history": history.numpy(), "memory": memory, "prefix": prefix},
        positives=spelled[rows, depth].astype(np.int64),
    )


def quality() -> dict[str, float]:
    """HR@10 and NDCG@10 of the items that a beam search of the trained weights lists, on the test split."""
    hit_rate, ndcg = hit_rate_and_ndcg_of(trained(), movielens.leave_one_out())
    return {"hr@10": hit_rate, "ndcg@10": ndcg}


@cache
def trained() -> Tiger:
    """A Tiger with the trained weights, in eval mode."""
    path = weights_of("tiger", __file__)
    weights = load(read_file(path, largest=_LARGEST, error=DataError, remedy="train it"))
    net = model(num_items=len(weights["spelled"]) - 1)
    net.load_state_dict(weights)
    return net
