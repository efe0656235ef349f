"""Known-item search: whoever asks has one item in mind, and the sooner it is listed the better.

- films: a query is a film's title as people type it: small letters, no year, where there are three words or
  more one left out, and in a longer word two letters swapped. The data set has no queries; these are drawn.
- office: a query is what a product's description says, the title taken out where it is quoted; of five
  queries the first is for the test, the second for validation, the others train.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Literal

import numpy as np

from pocketrec.evaluation import RankingData
from pocketrec.model_zoo.data import movielens, office
from pocketrec.model_zoo.data.texts import encoded

Split = Literal["train", "valid", "test"]

FILM_WORDS, OFFICE_WORDS = 24, 64  # word pieces of a query
_YEAR = re.compile(r" \(\d{4}\)$")
_SPLITS: Mapping[Split, tuple[int, ...]] = {"test": (0,), "valid": (1,), "train": (2, 3, 4)}
_FEWEST_WORDS = 8  # of a description that tells anything
_LEAST = 2  # words that are typed, where a title has so many
_SWAPPED = 6  # letters from which on a word is mistyped
_SEED = 2026


def films() -> RankingData:
    """Ranking data of typed titles: `text`, int32 `[queries, 24]`."""
    return _ranking(film_queries(), FILM_WORDS)


def descriptions(*, split: Split = "test") -> RankingData:
    """Ranking data of descriptions of office products: `text`, int32 `[queries, 64]`."""
    return _ranking(of_split(office_queries(), split), OFFICE_WORDS)


def of_split(queries: Mapping[int, str], split: Split) -> dict[int, str]:
    """The queries of a part of the data."""
    numbered = enumerate(sorted(queries))
    return {item: queries[item] for place, item in numbered if place % 5 in _SPLITS[split]}


def film_queries() -> dict[int, str]:
    """What is typed for each film, by its id; films whose title another has, too, are left out."""
    rng = np.random.default_rng(_SEED)
    titles = movielens.item_titles().tokens
    counts = Counter(titles)
    return {item: _typed(title, rng) for item, title in enumerate(titles) if title and counts[title] == 1}


def office_queries() -> dict[int, str]:
    """What is said of each product, by its id; what is short, or said of several, is left out."""
    titles = office.item_titles().tokens
    said = [text.replace(title, " ") for text, title in zip(office.descriptions(), titles, strict=True)]
    counts = Counter(said)
    return {
        item: text
        for item, text in enumerate(said)
        if len(text.split()) >= _FEWEST_WORDS and counts[text] == 1
    }


def _typed(title: str, rng: np.random.Generator) -> str:
    words = _YEAR.sub("", title).lower().split()
    if len(words) > _LEAST:
        del words[int(rng.integers(len(words)))]
    long = [place for place, word in enumerate(words) if len(word) >= _SWAPPED]
    if long:
        place = long[int(rng.integers(len(long)))]
        word, cut = words[place], int(rng.integers(1, len(words[place]) - 2))
        words[place] = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
    return " ".join(words)


def _ranking(queries: Mapping[int, str], length: int) -> RankingData:
    return RankingData(
        inputs={"text": encoded(list(queries.values()), length)}, positives=np.array(list(queries), np.int64)
    )
