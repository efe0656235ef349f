"""Amazon reviews 2014, Beauty and Sports, as vocabularies, sequences and evaluation data.

The split and the protocol of S3-Rec (Zhou et al., 2020) and of those who compare with it: leave one out
among all items (`data.sequences`).
"""

from __future__ import annotations

import csv
import io
from functools import cache

import numpy as np

from pocketrec.contract import Vocabulary
from pocketrec.evaluation import RankingData
from pocketrec.model_zoo.data import folders
from pocketrec.model_zoo.data.sequences import Held, Ints, leave_one_out_of

HISTORY_LENGTH = 20
_PADDING = "<pad>"


def sequences(*, data: str) -> list[Ints]:
    """Each user's item ids in order of time; the ids of `items`."""
    text = folders.read_rows(folders.folder(data) / "sequences.txt.gz")
    return [np.array(line.split()[1:], dtype=np.int32) for line in text.splitlines()]


def leave_one_out(*, data: str, split: Held = "test", length: int = HISTORY_LENGTH) -> RankingData:
    """Ranking data with `history`, int32 `[users, length]`, left-padded with 0; `data` is a set's name."""
    return leave_one_out_of(sequences(data=data), split=split, length=length)


def beauty_items() -> Vocabulary:
    """The ASINs of Beauty; id 0 pads."""
    return _items("amazon-beauty")


def beauty_titles() -> Vocabulary:
    """The titles of Beauty, in the order of `beauty_items`; seven are empty, 28 stand for several items."""
    return Vocabulary(tokens=("", *_column("amazon-beauty", "title")))


def sports_items() -> Vocabulary:
    """The ASINs of Sports and Outdoors, which has no titles; id 0 pads."""
    return _items("amazon-sports")


def _items(data: str) -> Vocabulary:
    return Vocabulary(tokens=(_PADDING, *_column(data, "asin")))


@cache
def _column(data: str, name: str) -> tuple[str, ...]:
    text = folders.read_rows(folders.folder(data) / "items.csv.gz")
    return tuple(row[name] for row in csv.DictReader(io.StringIO(text)))
