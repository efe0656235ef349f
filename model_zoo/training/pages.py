"""Pages of BM25 over the titles of amazon-office: what a re-ranker of a search gets, and the right places.

A query is what a description says, and a page the LENGTH best titles for it, of equal ones the lower id
first. A page without the right product teaches and tells a re-ranker nothing, and is left out.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from pocketrec.evaluation import RankingData
from pocketrec.model_zoo.data import office
from pocketrec.model_zoo.data.known_items import OFFICE_WORDS, Split, of_split, office_queries
from pocketrec.model_zoo.data.sequences import Ints
from pocketrec.model_zoo.data.texts import END, START, encoded
from pocketrec.model_zoo.training.bm25 import bm25
from pocketrec.model_zoo.training.loop import Floats

LENGTH = 30
_TITLE_WORDS = 48  # word pieces of a title that BM25 counts


def office_pages(*, split: Split = "test") -> RankingData:
    """Ranking data with `text` `[rows, 64]` and `candidates` `[rows, 30]`; what is ranked are places."""
    queries = of_split(office_queries(), split)
    text = encoded(list(queries.values()), OFFICE_WORDS)
    listed = best(bm25(_words(text), _titles()))
    right = listed == np.array(list(queries))[:, None]
    found = right.any(axis=1)
    return RankingData(
        inputs={"text": text[found], "candidates": listed[found]},
        positives=right[found].argmax(axis=1),
        ignored_ids=(),
    )


def best(scores: Floats, length: int = LENGTH) -> Ints:
    """The ids, from 1, of the best of `scores` `[queries, items]`, best first, int32 `[queries, length]`."""
    order: Ints = np.argsort(-scores, axis=1, kind="stable")[:, :length].astype(np.int32)
    return order + 1


@cache
def _titles() -> Ints:
    return _words(encoded(office.item_titles().tokens[1:], _TITLE_WORDS))


def _words(pieces: Ints) -> Ints:
    """The pieces without those that say where a text begins and ends."""
    return np.where(np.isin(pieces, (START, END)), 0, pieces)
