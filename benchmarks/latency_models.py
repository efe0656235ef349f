"""The models and queries of `latency.py`, in nothing but PyTorch and NumPy, so that all rivals can load them.

retrieval   a history becomes a vector; the ten best of the whole (tied) table
ranking     a history and 200 candidates become 200 scores, by way of a table and an MLP
shelves     a short history and what is known of the moment become a score for each of 32 shelves: a model of
            a phone's home page, so small that what a call costs besides its arithmetic is most of it
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

WIDTH, LENGTH, TOP, CANDIDATES, CATEGORIES, DENSE = 64, 20, 10, 200, 1000, 8
RECENT, HOURS, SHELVES = 5, 24, 32
QUERIES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One measured model: `retrieval`, `ranking` or `shelves`, over a table of `rows` items."""

    kind: str
    rows: int


CASES = {
    "retrieval-100k": Case(kind="retrieval", rows=100_000),
    "retrieval-1m": Case(kind="retrieval", rows=1_000_000),
    "ranking-200": Case(kind="ranking", rows=100_000),
    "shelves-32": Case(kind="shelves", rows=20_000),
}


class Retrieval(nn.Module):
    """Scores and ids of the ten best items for a history `[batch, LENGTH]`."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.item = nn.Embedding(rows, WIDTH)
        self.tower = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.ReLU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, history: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.item(history).mean(1)
        scores, ids = torch.topk((mean + self.tower(mean)) @ self.item.weight.T, TOP)
        return scores, ids


class Ranking(nn.Module):
    """Scores of 200 candidates `[batch, CANDIDATES]` for a history `[batch, LENGTH]`."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.item = nn.Embedding(rows, WIDTH)
        self.category = nn.Embedding(CATEGORIES, 16)
        self.layers = nn.Sequential(
            nn.Linear(3 * WIDTH + 16 + DENSE, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 1)
        )

    def forward(self, history: Tensor, candidates: Tensor, categories: Tensor, dense: Tensor) -> Tensor:
        item = self.item(candidates)
        user = self.item(history).mean(1, keepdim=True).expand_as(item)
        context = dense.unsqueeze(1).expand(-1, CANDIDATES, -1)
        x = torch.cat((item, user, item * user, self.category(categories), context), dim=-1)
        return self.layers(x).squeeze(-1)


class Shelves(nn.Module):
    """Scores of the shelves of a page, `[batch, SHELVES]`, for the last items and the moment."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.item = nn.Embedding(rows, WIDTH)
        self.category = nn.Embedding(CATEGORIES, 16)
        self.hour = nn.Embedding(HOURS, 8)
        self.layers = nn.Sequential(nn.Linear(2 * WIDTH + 16 + 8, 64), nn.ReLU(), nn.Linear(64, SHELVES))

    def forward(self, recent: Tensor, category: Tensor, hour: Tensor) -> Tensor:
        items = self.item(recent)
        x = torch.cat((items.mean(1), items[:, -1], self.category(category), self.hour(hour)), dim=-1)
        return self.layers(x)


def make(kind: str, rows: int) -> nn.Module:
    """The model in eval mode with weights that are the same everywhere."""
    torch.manual_seed(0)
    module = {"retrieval": Retrieval, "ranking": Ranking, "shelves": Shelves}[kind](rows)
    with torch.no_grad():
        module.item.weight.copy_(torch.from_numpy(_items(rows)))
    return module.eval().requires_grad_(False)


def _items(rows: int) -> Any:
    """Item vectors: 200 clusters, a spectrum that falls, lengths that vary."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((200, WIDTH)).astype(np.float32)
    vectors = centres[rng.integers(0, 200, rows)]
    vectors += rng.standard_normal((rows, WIDTH), np.float32) * np.float32(0.7)
    turned = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0].astype(np.float32)
    spectrum = (np.arange(1, WIDTH + 1) ** -0.5).astype(np.float32)
    lengths = rng.lognormal(0, 0.25, (rows, 1)).astype(np.float32)
    return (vectors * spectrum) @ turned * lengths


def queries(kind: str, rows: int) -> list[dict[str, Any]]:
    """The calls that are measured and compared, batch 1, ids int64."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(QUERIES):
        if kind == "shelves":
            sizes = {"recent": (rows, (1, RECENT)), "category": (CATEGORIES, 1), "hour": (HOURS, 1)}
            found.append({name: rng.integers(0, high, shape) for name, (high, shape) in sizes.items()})
            continue
        query = {"history": rng.integers(1, rows, (1, LENGTH))}
        query["history"][:, LENGTH // 2 :] = query["history"][:, :1]  # a user who likes one thing most
        if kind == "ranking":
            query["candidates"] = rng.integers(1, rows, (1, CANDIDATES))
            query["categories"] = rng.integers(0, CATEGORIES, (1, CANDIDATES))
            query["dense"] = rng.standard_normal((1, DENSE)).astype(np.float32)
        found.append(query)
    return found


def best_ids(kind: str, outputs: list[Any]) -> list[int]:
    """The ten best items, or places of candidates or shelves, that a call gave, best first."""
    if kind == "retrieval":
        return [int(each) for each in np.asarray(outputs[1]).ravel()]
    return [int(each) for each in np.argsort(-np.asarray(outputs[0]).ravel(), kind="stable")[:TOP]]
