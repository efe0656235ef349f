"""Which picture of a product for whom: SYNTHETIC pictures and clicks, drawn from a seed beside amazon-office.

The data set has neither, so nothing here says how people click. A product has a plain picture, one with its
brand's name where that is common, and one for each of the first common words of its title. A picture's vector
is its theme's direction, a brand's or a word's, and noise, as from an image encoder; a click's log-odds grow
with how much of what somebody had is of the theme and of the product's brand, and with the picture's own
appeal. Shown are pictures of what somebody had or came to next; impressions are split at random 8:1:1.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Literal

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Vocabulary
from pocketrec.evaluation import ClassificationData
from pocketrec.model_zoo.data import office
from pocketrec.model_zoo.data.sequences import Ints, left_pad

Split = Literal["train", "valid", "test"]
Floats = npt.NDArray[np.float32]

WIDTH = 24  # of a picture's vector
HISTORY_LENGTH = 10
_SEED = 2026
_IMPRESSIONS = 20  # a visit
_TASTE, _LOYAL, _APPEAL, _USUAL = 3.0, 1.5, 0.4, -1.8  # log-odds
_NOISE = 0.15
_BRAND_ITEMS, _WORD_ITEMS = 10, 60  # from how many products on a brand and a word are themes
_MOST_WORDS = 2  # of a title that have pictures
_WORD = re.compile(r"[a-z]{4,}")
_NO_THEMES = frozenset({"with", "pack", "count", "inch", "inches", "assorted", "size", "each", "standard"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """All pictures, those of a product in a row; row 0 is none.

    Attributes:
        item: ids, `[pictures]`.
        theme: places in `themes`, 0 of a plain one, `[pictures]`.
        vector: synthetic, `[pictures, 24]`.
        appeal: what the vector does not tell, `[pictures]`.
    """

    item: Ints
    theme: Ints
    vector: Floats
    appeal: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Impressions; all arrays `[impressions]`, visits by their place."""

    visit: npt.NDArray[np.int64]
    picture: Ints
    clicked: Floats


@cache
def themes() -> tuple[str, ...]:
    """What pictures can show: nothing, the common brands, and the common words of titles."""
    titles, brands = office.item_titles().tokens, Counter(filter(None, office.brands()))
    words = Counter(chain.from_iterable(set(_WORD.findall(title.lower())) for title in titles))
    named = [brand for brand, count in brands.items() if count >= _BRAND_ITEMS]
    lower = {brand.lower() for brand in named} | _NO_THEMES
    common = [word for word, count in words.items() if count >= _WORD_ITEMS and word not in lower]
    return ("", *sorted(named), *sorted(common))


@cache
def themes_of() -> tuple[tuple[int, ...], ...]:
    """The themes of every product, by its id: of its brand, and of the first words of its title."""
    places = {name: place for place, name in enumerate(themes()) if name}
    found = []
    for title, brand in zip(office.item_titles().tokens, office.brands(), strict=True):
        words = [places[word] for word in dict.fromkeys(_WORD.findall(title.lower())) if word in places]
        found.append((*([places[brand]] if brand in places else []), *words[:_MOST_WORDS]))
    return tuple(found)


@cache
def pictures() -> Pictures:
    """The pictures of all products."""
    rng = np.random.default_rng(_SEED)
    pairs = [(0, 0)]
    pairs += [(item, each) for item, own in enumerate(themes_of()) if item for each in (0, *own)]
    item, theme = np.array(pairs, dtype=np.int32).T
    directions = rng.normal(size=(len(themes()), WIDTH)) / np.sqrt(WIDTH)
    vectors = directions[theme] + _NOISE * rng.normal(size=(len(pairs), WIDTH))
    vectors[0] = 0
    appeal = _APPEAL * rng.normal(size=len(pairs))
    return Pictures(
        item=item, theme=theme, vector=vectors.astype(np.float32), appeal=appeal.astype(np.float32)
    )


def picture_vocabulary() -> Vocabulary:
    """Pictures by product and theme, such as `17-plain`; id 0 pads."""
    table, names, items = pictures(), themes(), office.item_vocabulary().tokens
    pairs = zip(table.item[1:], table.theme[1:], strict=True)
    return Vocabulary(tokens=("<pad>", *(f"{items[item]}-{names[each] or 'plain'}" for item, each in pairs)))


def picture_titles() -> Vocabulary:
    """What people read: the product's title and the theme, in the order of `picture_vocabulary`."""
    table, names, titles = pictures(), themes(), office.item_titles().tokens
    pairs = zip(table.item[1:], table.theme[1:], strict=True)
    return Vocabulary(
        tokens=("", *(f"{titles[i]}, {f'with {names[each]}' if each else 'plain'}" for i, each in pairs))
    )


def brand_vocabulary() -> Vocabulary:
    """The brands; id 0 is none."""
    return Vocabulary(tokens=("<none>", *sorted(set(filter(None, office.brands())))))


@cache
def brand_of() -> Ints:
    """The brand of every picture's product, ids of `brand_vocabulary`, `[pictures]`."""
    places = {name: place for place, name in enumerate(brand_vocabulary().tokens)}
    of_items = np.array([places.get(each, 0) for each in office.brands()], np.int32)
    found: Ints = of_items[pictures().item]
    return found


@cache
def histories() -> Ints:
    """What was had at every visit, int32 `[visits, 10]`, left-padded with 0."""
    return left_pad([each[:-1] for each in office.visits()], HISTORY_LENGTH)


def log_odds(visit: npt.NDArray[np.int64], picture: Ints) -> Floats:
    """The true log-odds of clicks on pictures at visits, `[impressions]`; synthetic."""
    table, had = pictures(), histories()
    plain = np.searchsorted(table.item, np.arange(table.item[-1] + 1))  # each product's first picture
    of_items = np.zeros((len(plain), len(themes())), bool)
    of_items[table.item, table.theme] = True
    of_items[:, 0] = False  # a plain picture shows nothing
    counts = (had > 0).sum(axis=1)[visit]
    of_theme = np.take_along_axis(of_items[had].sum(axis=1)[visit], table.theme[picture, None], 1)[:, 0]
    brands, own = brand_of()[plain][had][visit], brand_of()[picture]
    loyal = ((brands == own[:, None]) & (own[:, None] > 0)).sum(axis=1)
    odds = _USUAL + _TASTE * of_theme / counts + _LOYAL * loyal / counts + table.appeal[picture]
    found: Floats = odds.astype(np.float32)
    return found


@cache
def shown(split: Split) -> Shown:
    """What was shown at which visit, and whether it was clicked."""
    rng, table = np.random.default_rng(_SEED + 1), pictures()
    visits = office.visits()
    visit = np.repeat(np.arange(len(visits)), _IMPRESSIONS)
    items = np.concatenate([rng.choice(each, _IMPRESSIONS) for each in visits])
    first, count = np.searchsorted(table.item, items), np.bincount(table.item)[items]
    picture = (first + np.floor(rng.random(len(items)) * count)).astype(np.int32)
    clicked = rng.random(len(visit)) < 1 / (1 + np.exp(-log_odds(visit, picture)))
    order = rng.permutation(len(visit))
    eighty, ninety = len(order) * 8 // 10, len(order) * 9 // 10
    chosen = {"train": order[:eighty], "valid": order[eighty:ninety], "test": order[ninety:]}[split]
    return Shown(visit=visit[chosen], picture=picture[chosen], clicked=clicked[chosen].astype(np.float32))


def impressions(*, split: Split = "test") -> ClassificationData:
    """Synthetic clicks: `history`, int32 `[n, 10]`, `picture` and `brand` `[n]`, and `image`, `[n, 24]`."""
    found = shown(split)
    return ClassificationData(
        inputs={
            "history": histories()[found.visit],
            "picture": found.picture,
            "brand": brand_of()[found.picture],
            "image": pictures().vector[found.picture],
        },
        labels=found.clicked,
    )
