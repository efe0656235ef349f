"""The nine features of a rating on MovieLens as vectors, and what models of one rating have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

COLUMNS = ("user", "item", "age", "gender", "occupation", "year", "hour", "weekday")
FEATURES = len(COLUMNS) + 1  # the ids, and the bag of genres
_STD = 0.01
Table = Callable[[int, int], nn.Module]


def table_sizes(numbers: Mapping[str, int]) -> dict[str, int]:
    """The rows of each feature's table, from `num_users`, `num_items`, … that count without the id 0."""
    return {name: numbers[f"num_{name}s"] + 1 for name in (*COLUMNS, "genre")}


def plain_table(rows: int, dim: int) -> nn.Embedding:
    """A table with a row an id, near zero at first."""
    table = nn.Embedding(rows, dim)
    nn.init.normal_(table.weight, std=_STD)
    return table


class FeatureTables(nn.Module):
    """A row of `dim` for each feature, from tables of `rows` each; several genres share their mean."""

    def __init__(self, sizes: Mapping[str, int], dim: int, table: Table = plain_table) -> None:
        super().__init__()
        self.rows = dict(sizes)
        self.tables = nn.ModuleDict({name: table(sizes[name], dim) for name in COLUMNS})
        self.genre_embedding = nn.EmbeddingBag(sizes["genre"], dim, mode="mean", padding_idx=0)
        nn.init.normal_(self.genre_embedding.weight, std=_STD)

    def forward(self, ids: Mapping[str, Tensor], genres: Tensor) -> Tensor:
        """The rows of all features, `[B, FEATURES, dim]`, from ids `[B]` and genre ids `[B, G]`."""
        rows = [self.tables[name](ids[name]) for name in COLUMNS]
        return torch.stack((*rows, self.genre_embedding(genres)), dim=1)


class RatingModel(nn.Module):
    """The probability of what a rating says, from user, item and time; a family adds `logits`."""

    def __init__(self, features: FeatureTables) -> None:
        super().__init__()
        self.features = features

    def forward(
        self,
        user: Tensor,
        item: Tensor,
        genres: Tensor,
        age: Tensor,
        gender: Tensor,
        occupation: Tensor,
        year: Tensor,
        hour: Tensor,
        weekday: Tensor,
    ) -> Any:
        """Probabilities `[B]`, one tensor a head, from ids `[B]` and right-padded genre ids `[B, G]`."""
        ids = {"user": user, "item": item, "age": age, "gender": gender, "occupation": occupation}
        logits, _ = self.scored(genres=genres, year=year, hour=hour, weekday=weekday, **ids)
        return self.answer(torch.sigmoid(logits))

    def scored(self, **inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The logits, and the rows that they come from, `[B, rows, dim]`."""
        rows = self.features(inputs, inputs["genres"])
        return self.logits(rows), rows

    def logits(self, rows: Tensor) -> Tensor:
        """Logits `[B]`, or `[B, heads]` where there are several, from the rows of all features."""
        raise NotImplementedError

    def answer(self, probabilities: Tensor) -> Any:
        """What `forward` gives for the probabilities of all heads."""
        return probabilities


class TasksModel(RatingModel):
    """The same for several answers about one rating."""

    def answer(self, probabilities: Tensor) -> tuple[Tensor, ...]:
        """The probabilities of each task, `[B]`."""
        return probabilities.unbind(-1)
