"""MovieLens-100K as vocabularies, evaluation data and training arrays; ids are places in a vocabulary.

Two protocols:

- ranking: leave one out. Each user's ratings in order of time, ties in the order of the file; the
  last is the test item, the one before it the validation item, the rest trains. All items are
  ranked, those that the user has rated before are left out.
- classification: a rating of 4 or 5 is a positive; examples are split at random 8:1:1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Vocabulary
from pocketrec.errors import DataError
from pocketrec.evaluation import ClassificationData, RankingData
from pocketrec.model_zoo.data import folders
from pocketrec.model_zoo.data.sequences import Ints, leave_one_out_of, left_pad
from pocketrec.outside import read_text

Split = Literal["train", "valid", "test"]

HISTORY_LENGTH = 50
POSITIVE_RATING = 4.0
_SPLIT_SEED = 2026
_UNKNOWN = "<unknown>"
_PADDING = "<pad>"
_AGES = {0: "under 18", 18: "18-24", 25: "25-34", 35: "35-44", 45: "45-49", 50: "50-55", 56: "56 and over"}
_YEARS = {year: f"{year}s" for year in range(1920, 1990, 10)} | {
    year: str(year) for year in range(1990, 1999)
}
_WEEKDAYS = ("Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday")  # 1970 began so


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratings:
    """Every rating, in the order of the file; all arrays `[ratings]`."""

    user: Ints
    item: Ints
    rating: npt.NDArray[np.float32]
    timestamp: npt.NDArray[np.int64]


def item_vocabulary() -> Vocabulary:
    """MovieLens item ids in numeric order; id 0 pads."""
    return Vocabulary(tokens=(_PADDING, *_sorted_ids("item", "item_id")))


def item_titles() -> Vocabulary:
    """Film names with the year of release, in the order of `item_vocabulary`; what pads has none."""
    place = _order("item", "item_id")
    rows = list(zip(_column("item", "movie_title"), _column("item", "release_year"), strict=True))
    titles = (f"{name} ({year})" if _year(year) else name for name, year in (rows[row] for row in place))
    return Vocabulary(tokens=("", *titles))


def user_vocabulary() -> Vocabulary:
    """MovieLens user ids in numeric order; id 0 is an unknown user."""
    return Vocabulary(tokens=(_UNKNOWN, *_sorted_ids("user", "user_id")))


def genre_vocabulary() -> Vocabulary:
    """Genre names in alphabetical order; id 0 pads."""
    return Vocabulary(
        tokens=(_PADDING, *sorted({each for row in _column("item", "class") for each in row.split()}))
    )


def occupation_vocabulary() -> Vocabulary:
    """Occupations in alphabetical order; id 0 is unknown."""
    return Vocabulary(tokens=(_UNKNOWN, *sorted(set(_column("user", "occupation")))))


def gender_vocabulary() -> Vocabulary:
    """Genders as the data set has them; id 0 is unknown."""
    return Vocabulary(tokens=(_UNKNOWN, *sorted(set(_column("user", "gender")))))


def age_vocabulary() -> Vocabulary:
    """Age groups of the MovieLens surveys; id 0 is unknown."""
    return Vocabulary(tokens=(_UNKNOWN, *_AGES.values()))


def year_vocabulary() -> Vocabulary:
    """Release years, by decade before 1990 and one by one from then on; id 0 is unknown."""
    return Vocabulary(tokens=(_UNKNOWN, *_YEARS.values()))


def hour_vocabulary() -> Vocabulary:
    """Hours of the day, UTC; id 0 is unknown."""
    return Vocabulary(tokens=(_UNKNOWN, *(f"{hour:02d}" for hour in range(24))))


def weekday_vocabulary() -> Vocabulary:
    """Days of the week, UTC; id 0 is unknown."""
    return Vocabulary(tokens=(_UNKNOWN, *_WEEKDAYS))


def user_features() -> dict[str, Ints]:
    """Age, gender and occupation ids, `[users + 1]` each; row i is user id i, row 0 unknown."""
    place = _order("user", "user_id")
    ages = np.array([int(each) for each in _column("user", "age")])
    columns = {
        "age": _bucket(ages, list(_AGES)),
        "gender": _ids(_column("user", "gender"), gender_vocabulary()),
        "occupation": _ids(_column("user", "occupation"), occupation_vocabulary()),
    }
    return {name: np.concatenate([[0], column[place]]).astype(np.int32) for name, column in columns.items()}


def item_features() -> dict[str, Ints]:
    """Item ids `[n]`, genre ids right-padded `[n, 6]` and year ids `[n]`; row i is item id i."""
    place = _order("item", "item_id")
    names = genre_vocabulary().tokens
    genres = [[names.index(each) for each in _column("item", "class")[row].split()] for row in place]
    longest = max(map(len, genres))
    padded = [[0] * longest, *(each + [0] * (longest - len(each)) for each in genres)]
    years = np.array([_year(_column("item", "release_year")[row]) for row in place])
    return {
        "item": np.arange(len(place) + 1, dtype=np.int32),
        "genres": np.array(padded, dtype=np.int32),
        "year": np.concatenate([[0], _bucket(years, list(_YEARS))]).astype(np.int32),
    }


def ratings() -> Ratings:
    """Every rating with user and item as ids of their vocabularies; the arrays are shared, and read only."""
    return _ratings(folders.folder())


def sequences() -> list[Ints]:
    """Each user's item ids in order of time, ties in the order of the file; entry i is user id i + 1."""
    table = ratings()
    return [table.item[rows] for rows in _in_order(table)]


def minutes() -> list[Ints]:
    """When each item of `sequences` was rated: minutes since the first of all ratings."""
    table = ratings()
    since = ((table.timestamp - table.timestamp.min()) // 60).astype(np.int32)
    return [since[rows] for rows in _in_order(table)]


def leave_one_out(*, split: Literal["valid", "test"] = "test") -> RankingData:
    """Ranking data for a sequence model: `history`, int32 `[943, 50]`, left-padded with 0."""
    return leave_one_out_of(sequences(), split=split, length=HISTORY_LENGTH)


def leave_one_out_with_minutes(*, split: Literal["valid", "test"] = "test") -> RankingData:
    """As `leave_one_out`, with `minutes_ago`: how old each item is when the held-out one is asked for."""
    moments = minutes()
    place = {"valid": -2, "test": -1}[split]
    ago = [each[place] - each[:place] for each in moments]
    return leave_one_out_of(
        sequences(),
        split=split,
        length=HISTORY_LENGTH,
        users={"minutes_ago": left_pad(ago, HISTORY_LENGTH)},
    )


def leave_one_out_with_features(*, split: Literal["valid", "test"] = "test") -> RankingData:
    """As `leave_one_out`, with the user's `age`, `gender`, `occupation` and a catalogue of
    `item`, `genres`, `year`, whose row i is item id i.
    """
    return leave_one_out_of(
        sequences(),
        split=split,
        length=HISTORY_LENGTH,
        users={name: each[1:] for name, each in user_features().items()},
        catalogue=item_features(),
    )


def rated_high(*, split: Split = "test", at_least: float = POSITIVE_RATING) -> ClassificationData:
    """Whether a rating is `at_least`, 4 by default, from user, item and time: `user`, `age`, `gender`,
    `occupation`, `item`, `genres`, `year`, `hour`, `weekday`.
    """
    table, chosen = ratings(), rows_of(split)
    user, item, moment = table.user[chosen], table.item[chosen], table.timestamp[chosen]
    return ClassificationData(
        inputs={
            "user": user,
            **{name: column[user] for name, column in user_features().items()},
            **{name: column[item] for name, column in item_features().items()},
            "hour": (moment // 3600 % 24 + 1).astype(np.int32),
            "weekday": (moment // 86400 % 7 + 1).astype(np.int32),
        },
        labels=(table.rating[chosen] >= at_least).astype(np.float32),
    )


def pairs(*, split: Split = "test") -> ClassificationData:
    """As `rated_high`, from `user` and `item` alone."""
    table, chosen = ratings(), rows_of(split)
    inputs = {"user": table.user[chosen], "item": table.item[chosen]}
    return ClassificationData(
        inputs=inputs, labels=(table.rating[chosen] >= POSITIVE_RATING).astype(np.float32)
    )


def stars(*, split: Split = "test") -> npt.NDArray[np.float32]:
    """The ratings themselves, 1 to 5, of the rows of `pairs`."""
    return ratings().rating[rows_of(split)]


def _in_order(table: Ratings) -> list[npt.NDArray[np.int64]]:
    """The rows of each user's ratings in order of time."""
    order = np.lexsort((table.timestamp, table.user))  # stable, so ties keep the order of the file
    ends = np.cumsum(np.bincount(table.user)[1:])
    return [each.astype(np.int64) for each in np.split(order, ends[:-1])]


@cache
def _ratings(place: Path) -> Ratings:
    column = _table(place, "inter")
    found = Ratings(
        user=_ids(column["user_id"], user_vocabulary()),
        item=_ids(column["item_id"], item_vocabulary()),
        rating=np.array(column["rating"], dtype=np.float32),
        timestamp=np.array(column["timestamp"], dtype=np.float64).astype(np.int64),
    )
    for each in (found.user, found.item, found.rating, found.timestamp):
        each.setflags(write=False)
    return found


@cache
def rows_of(split: Split) -> npt.NDArray[np.int64]:
    """The rows of the ratings that a part of the random split 8:1:1 has."""
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(_column("inter", "rating")))
    eighty, ninety = len(order) * 8 // 10, len(order) * 9 // 10
    return {"train": order[:eighty], "valid": order[eighty:ninety], "test": order[ninety:]}[split]


def _column(suffix: str, name: str) -> tuple[str, ...]:
    return _table(folders.folder(), suffix)[name]


@cache
def _table(place: Path, suffix: str) -> dict[str, tuple[str, ...]]:
    lines = read_text(place / f"ml-100k.{suffix}", error=DataError).splitlines()
    names = [each.split(":")[0] for each in lines[0].split("\t")]
    return dict(zip(names, zip(*(line.split("\t") for line in lines[1:]), strict=True), strict=True))


def _sorted_ids(suffix: str, name: str) -> list[str]:
    return sorted(_column(suffix, name), key=int)


def _order(suffix: str, name: str) -> list[int]:
    column = _column(suffix, name)
    return sorted(range(len(column)), key=lambda row: int(column[row]))


def _ids(column: Sequence[str], vocabulary: Vocabulary) -> Ints:
    place = {token: index for index, token in enumerate(vocabulary.tokens)}
    return np.array([place[each] for each in column], dtype=np.int32)


def _bucket(values: npt.NDArray[np.int64], starts: list[int]) -> Ints:
    """The number, from 1, of the bucket that each value falls in; 0 before the first."""
    return np.searchsorted(starts, values, side="right").astype(np.int32)


def _year(text: str) -> int:
    return int(text) if text.isdecimal() else 0  # two titles have no year: "unkonwn" and "V"


VOCABULARIES: dict[str, Callable[[], Vocabulary]] = {
    "item": item_vocabulary,
    "user": user_vocabulary,
    "genre": genre_vocabulary,
    "occupation": occupation_vocabulary,
    "gender": gender_vocabulary,
    "age": age_vocabulary,
    "year": year_vocabulary,
    "hour": hour_vocabulary,
    "weekday": weekday_vocabulary,
}


def feature_numbers() -> dict[str, int]:
    """How many ids each vocabulary has beside 0, as the arguments `num_users`, … of a family's factory."""
    return {f"num_{name}s": len(vocabulary().tokens) - 1 for name, vocabulary in VOCABULARIES.items()}
