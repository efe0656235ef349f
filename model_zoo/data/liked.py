"""Films beside what a user liked before: one of them a row, or a page of which he liked one.

Of the random split of MovieLens-100K. A history holds the last items that the user rated 4 or 5 before the
moment of the rating, of those ratings that train.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from pocketrec.evaluation import Arrays, ClassificationData, RankingData
from pocketrec.model_zoo.data import choices, movielens
from pocketrec.model_zoo.data.sequences import Ints, items_before

HISTORY_LENGTH = 20
PAGE_LENGTH = 30
_EVERY = 5
_OF_ITEMS = ("item", "genres", "year")


def rated_high_after(
    *, split: movielens.Split = "test", at_least: float = movielens.POSITIVE_RATING
) -> ClassificationData:
    """As `movielens.rated_high`, with `history`, int32 `[examples, 20]`, left-padded with 0."""
    table, chosen = movielens.ratings(), movielens.rows_of(split)
    data = movielens.rated_high(split=split, at_least=at_least)
    train = movielens.rows_of("train")
    past = train[table.rating[train] >= movielens.POSITIVE_RATING]
    history = items_before(
        (table.user[past], table.timestamp[past], table.item[past]),
        (table.user[chosen], table.timestamp[chosen]),
        length=HISTORY_LENGTH,
    )
    return replace(data, inputs={"history": history, **data.inputs})


def pages(*, split: Literal["valid", "test"] = "test", seed: int = 0) -> RankingData:
    """Ranking data of `candidates`, int32 `[liked, 30]`, history, user and time: what is ranked are places.

    A row is a film that its user rated 4 or 5, at some place of a page of films that he never rated; every
    fifth such rating of the split has one.

    Args:
        split: whose ratings.
        seed: of the other films and of the place.
    """
    data = rated_high_after(split=split)
    liked = np.flatnonzero(data.labels == 1)[::_EVERY]
    inputs = {name: each[liked] for name, each in data.inputs.items()}
    candidates, places = _pages(inputs, np.random.default_rng(seed))
    about = {name: each for name, each in inputs.items() if name not in _OF_ITEMS}
    return RankingData(inputs={**about, "candidates": candidates}, positives=places, ignored_ids=())


def _pages(inputs: Arrays, rng: np.random.Generator) -> tuple[Ints, npt.NDArray[np.int64]]:
    """Each row's page, and where on it the film is that was liked."""
    rated = choices.chosen_in(movielens.sequences())
    rated[:, 0] = True
    unseen = {user: np.flatnonzero(~rated[user]) for user in np.unique(inputs["user"])}
    drawn = [rng.choice(unseen[user], PAGE_LENGTH, replace=False) for user in inputs["user"]]
    candidates = np.array(drawn, dtype=np.int32)
    places = rng.integers(0, PAGE_LENGTH, len(candidates))
    candidates[np.arange(len(candidates)), places] = inputs["item"]
    return candidates, places
