"""Amazon reviews 2018, Office Products: items with title, brand and description."""

from __future__ import annotations

import csv
import html
import io
import re
from functools import cache

from pocketrec.contract import Vocabulary
from pocketrec.model_zoo.data import folders

_PADDING = "<pad>"
_LISTED = re.compile(r"""^\[['"]|['"]\]$|['"], ['"]""")  # a list as Python writes it, often cut off


def item_vocabulary() -> Vocabulary:
    """The numbers of the items; id 0 pads."""
    return Vocabulary(tokens=(_PADDING, *_column("item")))


def item_titles() -> Vocabulary:
    """The titles, in the order of `item_vocabulary`; some stand for two items."""
    return Vocabulary(tokens=("", *_column("title")))


def brands() -> tuple[str, ...]:
    """The brands, in the order of `item_vocabulary`; empty where there is none."""
    return ("", *_column("brand"))


def descriptions() -> tuple[str, ...]:
    """The beginnings of the descriptions, in the order of `item_vocabulary`; empty where there is none."""
    return ("", *(_plain(each) for each in _column("description")))


def _plain(text: str) -> str:
    return " ".join(html.unescape(_LISTED.sub(" ", text)).split())


@cache
def _column(name: str) -> tuple[str, ...]:
    text = folders.read_rows(folders.folder("amazon-office") / "items.csv.gz")
    return tuple(row[name] for row in csv.DictReader(io.StringIO(text)))
