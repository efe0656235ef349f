"""Two towers: a user and an item become vectors whose product says how well they fit.

Trained with the sampled softmax over the batch's own items, corrected for how often each item
turns up in a batch (Yi et al., 2019, "Sampling-bias-corrected neural modeling for large corpus
item recommendations"): logit(u, i) = u·i / temperature − log p(i).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketrec.evaluation import Arrays
from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.data.sequences import Ints, left_pad
from pocketrec.model_zoo.families.parts.nets import projector
from pocketrec.model_zoo.families.parts.pooling import HistoryPooling
from pocketrec.model_zoo.training.loop import (
    Floats,
    Schedule,
    fit,
    hit_rate_and_ndcg,
    score_all,
    shuffled,
    to_tensors,
)
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=16, patience=5, every=1, learning_rate=2e-3, weight_decay=0.01)
BATCH_SIZE = 1024
DROPOUT = 0.2
TEMPERATURE = 0.07


class TwoTower(nn.Module):
    """Both towers, and the catalogue that `retrieve` searches.

    The item table serves the item tower and the history. `catalogue` holds the item tower's
    output for ids 1..num_items once `freeze_catalogue` has filled it.
    """

    catalogue: Tensor

    def __init__(
        self, *, sizes: dict[str, int], max_length: int, dim: int, top_k: int, dropout: float
    ) -> None:
        super().__init__()
        heads, side = 4, dim // 4
        self.top_k = top_k
        self.item_embedding = nn.Embedding(sizes["item"], dim, padding_idx=0)
        self.genre_embedding = nn.EmbeddingBag(sizes["genre"], side, mode="mean", padding_idx=0)
        self.year_embedding = nn.Embedding(sizes["year"], side)
        self.age_embedding = nn.Embedding(sizes["age"], side)
        self.gender_embedding = nn.Embedding(sizes["gender"], side)
        self.occupation_embedding = nn.Embedding(sizes["occupation"], side)
        self.pooling = HistoryPooling(dim, heads, max_length)
        self.user_layers = projector(heads * dim + 3 * side, 2 * dim, dim, dropout=dropout)
        self.item_layers = projector(dim + 2 * side, 2 * dim, dim, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("catalogue", torch.zeros(sizes["item"] - 1, dim))
        nn.init.normal_(self.item_embedding.weight[1:], std=dim**-0.5)

    def user_tower(self, history: Tensor, age: Tensor, gender: Tensor, occupation: Tensor) -> Tensor:
        """User vectors of length 1, `[B, d]`, from a left-padded history `[B, T]` and ids `[B]`."""
        pooled = self.dropout(self.pooling(self.item_embedding(history), history != 0))
        person = (
            self.age_embedding(age),
            self.gender_embedding(gender),
            self.occupation_embedding(occupation),
        )
        return F.normalize(self.user_layers(torch.cat((pooled, *person), dim=-1)), dim=-1)

    def item_tower(self, item: Tensor, genres: Tensor, year: Tensor) -> Tensor:
        """Item vectors of length 1, `[B, d]`, from ids `[B]` and right-padded genre ids `[B, G]`."""
        embedded = self.item_embedding(item)
        about = (self.genre_embedding(genres), self.year_embedding(year))
        return F.normalize(embedded + self.item_layers(torch.cat((embedded, *about), dim=-1)), dim=-1)

    def retrieve(
        self, history: Tensor, age: Tensor, gender: Tensor, occupation: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The best items' scores, float32 `[B, top_k]`, and ids, int32 `[B, top_k]`, best first."""
        scores = self.user_tower(history, age, gender, occupation) @ self.catalogue.T
        top_k_scores, rows = torch.topk(scores, self.top_k, dim=-1)
        return top_k_scores, rows.to(torch.int32) + 1  # row 0 is item 1: padding is no item

    def forward(
        self, history: Tensor, age: Tensor, gender: Tensor, occupation: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `retrieve`."""
        return self.retrieve(history, age, gender, occupation)

    @torch.no_grad()
    def freeze_catalogue(self, item: Tensor, genres: Tensor, year: Tensor) -> None:
        """Fills `catalogue` from the item tower; row i of each argument is item id i."""
        self.catalogue.copy_(self.item_tower(item, genres, year)[1:])


def model(
    *,
    num_items: int,
    num_genres: int,
    num_years: int,
    num_ages: int,
    num_genders: int,
    num_occupations: int,
    max_length: int = movielens.HISTORY_LENGTH,
    dim: int = 64,
    top_k: int = 100,
    dropout: float = 0.0,
) -> TwoTower:
    """A TwoTower in eval mode with random weights; numbers count without the id 0."""
    numbers = {
        "item": num_items,
        "genre": num_genres,
        "year": num_years,
        "age": num_ages,
        "gender": num_genders,
        "occupation": num_occupations,
    }
    sizes = {name: number + 1 for name, number in numbers.items()}
    return TwoTower(sizes=sizes, max_length=max_length, dim=dim, top_k=top_k, dropout=dropout).eval()


def train(run: Run) -> TwoTower:
    """A TwoTower trained on MovieLens-100K, catalogue frozen, in eval mode; the best epoch by
    NDCG@10 on validation.
    """
    names = ("item", "genre", "year", "age", "gender", "occupation")
    net = model(
        **{f"num_{name}s": len(movielens.VOCABULARIES[name]().tokens) - 1 for name in names}, dropout=DROPOUT
    )
    valid = movielens.leave_one_out_with_features(split="valid")
    examples, catalogue = _examples(), to_tensors(valid.catalogue)
    log_share = _log_share(examples["positive"].numpy(), len(valid.catalogue["item"]))

    def losses() -> Iterator[Tensor]:
        for rows in shuffled(len(examples["positive"]), BATCH_SIZE, run.rng):
            yield _loss(net, {name: each[rows] for name, each in examples.items()}, catalogue, log_share)

    def measure() -> float:
        return hit_rate_and_ndcg(scores(net, valid.inputs, valid.catalogue), valid)[1]

    fit(net, losses=losses, measure=measure, schedule=SCHEDULE, run=run)
    net.freeze_catalogue(**catalogue)
    return net


def scores(net: TwoTower, users: Arrays, catalogue: Arrays) -> Floats:
    """Scores of every user for every row of the catalogue, `[users, items + 1]`."""
    user = score_all(lambda batch: net.user_tower(**batch), users)
    item = score_all(lambda batch: net.item_tower(**batch), catalogue)
    product: Floats = user @ item.T
    return product


def _examples() -> dict[str, Tensor]:
    """Every training rating but a user's first, as `positive`, with what was known before it."""
    train = [each[:-2] for each in movielens.sequences()]
    lengths = np.array([len(each) - 1 for each in train])
    users = np.repeat(np.arange(1, len(train) + 1), lengths)
    arrays = {
        "history": left_pad(
            [each[:end] for each in train for end in range(1, len(each))], movielens.HISTORY_LENGTH
        ),
        "positive": np.concatenate([each[1:] for each in train]),
        **{name: column[users] for name, column in movielens.user_features().items()},
    }
    return to_tensors(arrays)


def _log_share(positives: Ints, size: int) -> Tensor:
    """The logarithm of each item's share of the training positives, float32 `[size]`."""
    counts = np.bincount(positives, minlength=size).clip(min=1)
    return torch.from_numpy(np.log(counts / len(positives)).astype(np.float32))


def _loss(net: TwoTower, batch: dict[str, Tensor], catalogue: dict[str, Tensor], log_share: Tensor) -> Tensor:
    """Softmax over the batch's different items, so that no other user's same item is a negative."""
    positive = batch.pop("positive").long()
    items, target = torch.unique(positive, return_inverse=True)
    user = net.user_tower(**batch)
    item = net.item_tower(**{name: each[items] for name, each in catalogue.items()})
    return F.cross_entropy(user @ item.T / TEMPERATURE - log_share[items], target)
