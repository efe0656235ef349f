"""Which poster of a film for whom: SYNTHETIC pictures and clicks, drawn from a seed beside MovieLens-100K.

The data set has neither, so nothing here says how people click. A film has a poster for each of its genres
and one that shows none. A poster's vector is its genre's direction and noise, as from an image encoder; a
click's log-odds grow with how much more of the genre somebody has watched than people do, and with the
poster's own appeal. Impressions are split at random 8:1:1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Vocabulary
from pocketrec.evaluation import ClassificationData
from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.data.sequences import Ints, left_pad, training_parts

Split = Literal["train", "valid", "test"]
Floats = npt.NDArray[np.float32]

WIDTH = 16  # of a poster's vector
_SEED = 2026
_IMPRESSIONS = 150  # a user
_TASTE, _APPEAL, _USUAL = 1.2, 0.4, -0.7  # log-odds
_NOISE = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Posters:
    """All posters; row 0 is none.

    Attributes:
        film: ids, `[posters]`.
        genre: ids, 0 where none is shown, `[posters]`.
        vector: synthetic, `[posters, 16]`.
        appeal: what the vector does not tell, `[posters]`.
    """

    film: Ints
    genre: Ints
    vector: Floats
    appeal: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Impressions; all arrays `[impressions]`, users by their place."""

    user: npt.NDArray[np.int64]
    poster: Ints
    clicked: Floats


@cache
def posters() -> Posters:
    """The posters of all films."""
    rng = np.random.default_rng(_SEED)
    genres = movielens.item_features()["genres"]
    pairs = [(0, 0)]
    pairs += [(film, int(each)) for film, row in enumerate(genres) if film for each in (0, *row[row > 0])]
    film, genre = np.array(pairs, dtype=np.int32).T
    directions = rng.normal(size=(len(movielens.genre_vocabulary().tokens), WIDTH)) / np.sqrt(WIDTH)
    vectors = directions[genre] + _NOISE * rng.normal(size=(len(pairs), WIDTH))
    vectors[0] = 0
    appeal = _APPEAL * rng.normal(size=len(pairs))
    return Posters(
        film=film, genre=genre, vector=vectors.astype(np.float32), appeal=appeal.astype(np.float32)
    )


def poster_vocabulary() -> Vocabulary:
    """Posters by film and genre, such as `1-Comedy`; id 0 pads."""
    table, names = posters(), movielens.genre_vocabulary().tokens
    films = movielens.item_vocabulary().tokens
    pairs = zip(table.film[1:], table.genre[1:], strict=True)
    return Vocabulary(tokens=("<pad>", *(f"{films[film]}-{names[g] if g else 'plain'}" for film, g in pairs)))


def poster_titles() -> Vocabulary:
    """What people read, such as `Toy Story (1995), as Comedy`, in the order of `poster_vocabulary`."""
    table, names = posters(), movielens.genre_vocabulary().tokens
    films = movielens.item_titles().tokens
    pairs = zip(table.film[1:], table.genre[1:], strict=True)
    return Vocabulary(
        tokens=("", *(f"{films[film]}, {f'as {names[g]}' if g else 'plain'}" for film, g in pairs))
    )


def log_odds() -> Floats:
    """The true log-odds of a click, of every user for every genre, `[users, genres]`; synthetic."""
    genres = movielens.item_features()["genres"]
    count = len(movielens.genre_vocabulary().tokens)
    shares = np.zeros((len(movielens.sequences()), count))
    for row, sequence in zip(shares, training_parts(movielens.sequences()), strict=True):
        row += np.bincount(genres[sequence].ravel(), minlength=count) / len(sequence)
    shares[:, 0] = 0  # a plain poster shows no genre
    spread = shares.std(axis=0)
    found: Floats = _USUAL + _TASTE * (shares - shares.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return found.astype(np.float32)


def histories() -> Ints:
    """What every user watched before what is held out, int32 `[users, 50]`, left-padded with 0."""
    return left_pad(training_parts(movielens.sequences()), movielens.HISTORY_LENGTH)


def shown(split: Split) -> Shown:
    """Who was shown which poster, and whether they clicked."""
    rng = np.random.default_rng(_SEED + 1)
    table, odds = posters(), log_odds()
    user = np.repeat(np.arange(len(odds)), _IMPRESSIONS)
    poster = rng.integers(1, len(table.film), len(user)).astype(np.int32)
    clicked = rng.random(len(user)) < 1 / (
        1 + np.exp(-odds[user, table.genre[poster]] - table.appeal[poster])
    )
    order = rng.permutation(len(user))
    eighty, ninety = len(order) * 8 // 10, len(order) * 9 // 10
    chosen = {"train": order[:eighty], "valid": order[eighty:ninety], "test": order[ninety:]}[split]
    return Shown(user=user[chosen], poster=poster[chosen], clicked=clicked[chosen].astype(np.float32))


def impressions(*, split: Split = "test") -> ClassificationData:
    """Synthetic clicks: `history`, int32 `[n, 50]`, `poster` `[n]` and `image`, `[n, 16]`."""
    found = shown(split)
    return ClassificationData(
        inputs={
            "history": histories()[found.user],
            "poster": found.poster,
            "image": posters().vector[found.poster],
        },
        labels=found.clicked,
    )
