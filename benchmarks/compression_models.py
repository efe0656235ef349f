"""The models of `compression.py`: the zoo's, and of the shops SASRec and two towers, trained once and kept.

A shop has histories of item ids and nothing else, so its towers are smaller than the zoo's: a user is what
was pooled of a history, an item its row. Training is that of the zoo's families.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from string import Template
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketrec.evaluation import RankingData
from pocketrec.model_zoo.data import amazon
from pocketrec.model_zoo.data.sequences import left_pad, training_parts
from pocketrec.model_zoo.families import sasrec
from pocketrec.model_zoo.families.parts.nets import projector
from pocketrec.model_zoo.families.parts.pooling import HistoryPooling
from pocketrec.model_zoo.registry import FAMILIES
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
from pocketrec.model_zoo.training.train import train, train_module

HERE = Path(__file__).parent
SHOPS = {"beauty": amazon.beauty_items, "sports": amazon.sports_items}
SHOP_MODELS = tuple(f"{kind}-{shop}" for shop in SHOPS for kind in ("sasrec", "two-tower"))
SCHEDULE = Schedule(epochs=24, patience=6, every=2, learning_rate=2e-3, weight_decay=0.01)
BATCH_SIZE, TEMPERATURE, DROPOUT = 1024, 0.07, 0.3


class Towers(nn.Module):
    """A user by the history, an item by its row; one table serves both, `catalogue` is what is searched."""

    catalogue: Tensor

    def __init__(
        self, *, num_items: int, max_length: int, dim: int = 64, top_k: int = 100, dropout: float = 0.0
    ) -> None:
        super().__init__()
        heads = 4
        self.top_k = top_k
        self.item_embedding = nn.Embedding(num_items + 1, dim, padding_idx=0)
        self.pooling = HistoryPooling(dim, heads, max_length)
        self.user_layers = projector(heads * dim, 2 * dim, dim, dropout=dropout)
        self.item_layers = projector(dim, 2 * dim, dim, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("catalogue", torch.zeros(num_items, dim))
        nn.init.normal_(self.item_embedding.weight[1:], std=dim**-0.5)

    def user_tower(self, history: Tensor) -> Tensor:
        """User vectors of length 1, `[B, d]`, of left-padded histories `[B, T]`."""
        pooled = self.dropout(self.pooling(self.item_embedding(history), history != 0))
        return F.normalize(self.user_layers(pooled), dim=-1)

    def item_tower(self, item: Tensor) -> Tensor:
        """Item vectors of length 1, `[B, d]`, of ids `[B]`."""
        embedded = self.item_embedding(item)
        return F.normalize(embedded + self.item_layers(embedded), dim=-1)

    def retrieve(self, history: Tensor) -> tuple[Tensor, Tensor]:
        """The best items' scores, float32 `[B, top_k]`, and ids, int32 `[B, top_k]`, best first."""
        scores, rows = torch.topk(self.user_tower(history) @ self.catalogue.T, self.top_k, dim=-1)
        return scores, rows.to(torch.int32) + 1

    def forward(self, history: Tensor) -> tuple[Tensor, Tensor]:
        """As `retrieve`."""
        return self.retrieve(history)


def towers(*, num_items: int, max_length: int, dropout: float = 0.0) -> Towers:
    """Towers in eval mode with random weights."""
    return Towers(num_items=num_items, max_length=max_length, dropout=dropout).eval()


def with_catalogue(*, data: str, split: Literal["valid", "test"] = "test") -> RankingData:
    """A shop's ranking data, and `item`, whose row i is item id i."""
    found = amazon.leave_one_out(data=data, split=split)
    items = np.arange(SHOPS[data.removeprefix("amazon-")]().size, dtype=np.int32)
    return replace(found, catalogue={"item": items})


def recipe_of(name: str, folder: Path) -> Path:
    """The model's recipe, its weights trained where they are not there yet.

    Args:
        name: a family of the zoo, or one of `SHOP_MODELS`.
        folder: for recipes and weights that are not the zoo's.
    """
    if name in FAMILIES:
        found = FAMILIES[name]
        if not found.weights.is_file():
            train(name)
        return found.recipe
    kind, _, shop = name.rpartition("-")
    size = SHOPS[shop]().size
    words = {"name": name, "shop": shop, "items": size - 1, "scores": size, "length": amazon.HISTORY_LENGTH}
    folder.mkdir(parents=True, exist_ok=True)
    recipe, weights = folder / f"{name}.toml", folder / f"{name}.safetensors"
    recipe.write_text(Template((HERE / "recipes" / f"{kind}.toml").read_text()).substitute(words))
    if not weights.is_file():
        fits = {"sasrec": sasrec.train_shop, "two-tower": fit_towers}
        train_module(lambda run: fits[kind](run, f"amazon-{shop}", size - 1), weights, name=name)
    return recipe


def fit_towers(run: Run, data: str, num_items: int) -> nn.Module:
    """Towers of a shop; the softmax is over a batch's items, corrected for how frequent they are."""
    net = towers(num_items=num_items, max_length=amazon.HISTORY_LENGTH, dropout=DROPOUT)
    valid, examples = with_catalogue(data=data, split="valid"), _examples(data)
    counts = np.bincount(examples["positive"].numpy(), minlength=num_items + 1).clip(min=1)
    log_share = torch.from_numpy(np.log(counts / counts.sum()).astype(np.float32))

    def losses() -> Iterator[Tensor]:
        for rows in shuffled(len(examples["positive"]), BATCH_SIZE, run.rng):
            items, target = torch.unique(examples["positive"][rows].long(), return_inverse=True)
            scores = net.user_tower(examples["history"][rows]) @ net.item_tower(items).T
            yield F.cross_entropy(scores / TEMPERATURE - log_share[items], target)

    def measure() -> float:
        return hit_rate_and_ndcg(_scores(net, valid), valid)[1]

    fit(net, losses=losses, measure=measure, schedule=SCHEDULE, run=run)
    with torch.no_grad():
        net.catalogue.copy_(net.item_tower(torch.arange(num_items + 1))[1:])
    return net


def _scores(net: Towers, data: RankingData) -> Floats:
    assert data.catalogue is not None
    user = score_all(lambda batch: net.user_tower(**batch), data.inputs)
    item = score_all(lambda batch: net.item_tower(**batch), data.catalogue)
    product: Floats = user @ item.T
    return product


def _examples(data: str) -> dict[str, Tensor]:
    """Every training item but a user's first, as `positive`, with what was before it."""
    parts = [each for each in training_parts(amazon.sequences(data=data)) if len(each) > 1]
    before = [each[:end] for each in parts for end in range(1, len(each))]
    positive = np.concatenate([each[1:] for each in parts])
    return to_tensors({"history": left_pad(before, amazon.HISTORY_LENGTH), "positive": positive})
