"""DIN: what a user liked before, weighed by the item that is asked about (Zhou et al., 2018).

v_U = Σ_j a(e_j, v_A) e_j (equation 3), a(·) a small net of the liked item, the asked one, their difference
and product, whose weights are not normalised: a strong interest stays strong. The net on top has Dice,
f(s) = p(s) s + (1 − p(s)) α s with p(s) = σ((s − E[s]) / √(Var[s] + ε)) (equation 5). `page` asks about many
items of one user at once: they are a second axis of the batch, and what is known of the user is given once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pocketrec.model_zoo.data import liked, movielens
from pocketrec.model_zoo.families.parts.rating_features import (
    COLUMNS,
    FEATURES,
    FeatureTables,
    RatingModel,
    table_sizes,
)
from pocketrec.model_zoo.training.loop import Schedule, to_tensors
from pocketrec.model_zoo.training.rated import DROPOUT, SCHEDULE, fit_rated
from pocketrec.model_zoo.training.run import Run

_ITEM = COLUMNS.index("item")
_MOST_GENRES = 6  # of a film


class Dice(nn.Module):
    """The activation that bends where the data are, with a slope of its own a unit."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width, affine=False)
        self.alpha = nn.Parameter(torch.zeros(width))

    def forward(self, s: Tensor) -> Tensor:
        """f(s) of `s` `[B, width]`."""
        p = torch.sigmoid(self.norm(s))
        return p * s + (1 - p) * self.alpha * s


class ActivationUnit(nn.Module):
    """How much each item of a history says about an item."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4 * dim, hidden), nn.PReLU(), nn.Linear(hidden, 1))

    def forward(self, history: Tensor, item: Tensor) -> Tensor:
        """Weights `[B, T]` of `history` `[B, T, d]` for `item` `[B, d]`."""
        asked = item.unsqueeze(1).expand_as(history)
        pairs = torch.cat((history, asked, history - asked, history * asked), dim=-1)
        weights: Tensor = self.net(pairs).squeeze(-1)
        return weights


class DIN(RatingModel):
    """The probability that a user rates an item 4 or 5, from features and what he liked before."""

    item_genres: Tensor
    item_year: Tensor

    def __init__(
        self, features: FeatureTables, *, dim: int, attention: int, hidden: int, dropout: float
    ) -> None:
        super().__init__(features)
        items = features.rows["item"]
        self.register_buffer("item_genres", torch.zeros(items, _MOST_GENRES, dtype=torch.int32))
        self.register_buffer("item_year", torch.zeros(items, dtype=torch.int32))
        self.activation = ActivationUnit(dim, attention)
        self.top = nn.Sequential(
            nn.Linear((FEATURES + 1) * dim, hidden),
            Dice(hidden),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden // 2),
            Dice(hidden // 2),
            nn.Dropout(dropout),
            nn.Linear(hidden // 2, 1),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(  # type: ignore[override]  # the history is an input of its own
        self,
        history: Tensor,
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
        """Probabilities `[B]` from a left-padded history `[B, T]`, ids `[B]` and genre ids `[B, G]`."""
        ids = {"user": user, "item": item, "age": age, "gender": gender, "occupation": occupation}
        logits, _ = self.scored(history=history, genres=genres, year=year, hour=hour, weekday=weekday, **ids)
        return torch.sigmoid(logits)

    def page(
        self,
        candidates: Tensor,
        history: Tensor,
        user: Tensor,
        age: Tensor,
        gender: Tensor,
        occupation: Tensor,
        hour: Tensor,
        weekday: Tensor,
    ) -> Tensor:
        """Probabilities `[B, C]` of `candidates` `[B, C]`; those of padding, 0, are 0."""
        once = {"history": history, "user": user, "age": age, "gender": gender, "occupation": occupation}
        once |= {"hour": hour, "weekday": weekday}
        length = candidates.shape[1]
        each = {
            name: known.unsqueeze(1).expand(-1, length, *known.shape[1:]).flatten(0, 1)
            for name, known in once.items()
        }
        item = candidates.flatten()
        about = {"genres": self.item_genres[item], "year": self.item_year[item]}
        logits, _ = self.scored(item=item, **about, **each)
        return torch.sigmoid(logits).view(-1, length) * (candidates != 0)

    def scored(self, **inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The logits `[B]`, and the rows of the features; those of the history are items' rows, too."""
        rows = self.features(inputs, inputs["genres"])
        past = self.features.tables["item"](inputs["history"])
        interest = self.interest(past, rows[:, _ITEM], inputs["history"] != 0)
        x = self.dropout(torch.cat((rows, interest.unsqueeze(1)), dim=1)).flatten(1)
        return self.top(x).squeeze(-1), rows

    def interest(self, past: Tensor, item: Tensor, real: Tensor) -> Tensor:
        """v_U `[B, d]` of a history `[B, T, d]` where `real` `[B, T]` is true; zero of an empty one."""
        weights = self.activation(past, item) * real
        pooled: Tensor = (weights.unsqueeze(1) @ past).squeeze(1)
        return pooled


def model(
    *, dim: int = 16, attention: int = 32, hidden: int = 64, dropout: float = 0.0, **numbers: int
) -> DIN:
    """A DIN in eval mode with random weights; `numbers` are `num_users` and so on, without the id 0."""
    features = FeatureTables(table_sizes(numbers), dim)
    return DIN(features, dim=dim, attention=attention, hidden=hidden, dropout=dropout).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> DIN:
    """A DIN trained on MovieLens-100K, in eval mode; the best epoch by AUC on validation."""
    net = model(**movielens.feature_numbers(), dropout=DROPOUT)
    about = to_tensors(movielens.item_features())
    net.item_genres.copy_(about["genres"])
    net.item_year.copy_(about["year"])
    fit_rated(net, run=run, schedule=schedule, data=liked.rated_high_after)
    return net
