"""Amazon reviews 2018, Office Products: items with title, brand and description."""

from __future__ import annotations

import csv
import html
import io
import re
from functools import cache

import numpy as np

from pocketrec.contract import Vocabulary
from pocketrec.model_zoo.data import folders
from pocketrec.model_zoo.data.sequences import Ints

_PADDING = "<pad>"
_LISTED = re.compile(r"""^\[['"]|['"]\]$|['"], ['"]""")  # a list as Python writes it, often cut off


def item_vocabulary() -> Vocabulary:
    """The numbers of the items; id 0 pads."""
    return Vocabulary(tokens=(_PADDING, *_column("item")))


def item_titles() -> Vocabulary:
    """The titles, in the order of `item_vocabulary`; some stand for two items."""
    return Vocabulary(tokens=("", *_column("title")))


def brands() -> tuple[str, ...]:
    """The brand of every item, in the order of `item_vocabulary`; empty where there is none."""
    return ("", *_column("brand"))


def descriptions() -> tuple[str, ...]:
    """The beginnings of the descriptions, in the order of `item_vocabulary`; empty where there is none."""
    return ("", *(_plain(each) for each in _column("description")))


def visits() -> list[Ints]:
    """What somebody had, at most ten items, and last the one that came next; ids of `item_vocabulary`."""
    return [np.array(line, np.int32) + 1 for name in ("valid", "test") for line in _lines(f"{name}.tsv.gz")]


def _lines(name: str) -> list[list[int]]:
    text = folders.read_rows(folders.folder("amazon-office") / name)
    rows = (line.split("\t") for line in text.splitlines())
    return [[*map(int, history.split()), int(following)] for _, history, following in rows]


def _plain(text: str) -> str:
    return " ".join(html.unescape(_LISTED.sub(" ", text)).split())


@cache
def _column(name: str) -> tuple[str, ...]:
    text = folders.read_rows(folders.folder("amazon-office") / "items.csv.gz")
    return tuple(row[name] for row in csv.DictReader(io.StringIO(text)))
