"""Texts as ids of BERT's vocabulary, cut as an app cuts them: by the host's own tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from pocketrec.contract import Tokenizer, Vocabulary, VocabularySpec
from pocketrec.errors import DataError
from pocketrec.model_zoo.data import folders
from pocketrec.model_zoo.data.sequences import Ints
from pocketrec.outside import read_text
from pocketrec.package.host.items import Items
from pocketrec.package.host.wordpiece import tokenize

WORDS = "all-minilm-l6-v2"
PADDING, UNKNOWN, START, END = 0, 100, 101, 102


def word_vocabulary() -> Vocabulary:
    """The 30,522 word pieces of BERT, uncased, in the order of its vocab.txt; id 0 pads."""
    return Vocabulary(tokens=_pieces())


def encoded(texts: Sequence[str], length: int) -> Ints:
    """The pieces of each text between start and end, right-padded with 0, int32 `[texts, length]`."""
    found = np.zeros((len(texts), length), np.int32)
    for row, text in zip(found, texts, strict=True):
        pieces = tokenize(text, Tokenizer(), _items(), length)
        row[: len(pieces)] = pieces
    return found


@cache
def _items() -> Items:
    spec = VocabularySpec(size=len(_pieces()), padding_id=PADDING, unknown_id=UNKNOWN)
    return Items("word", spec, _pieces())


@cache
def _pieces() -> tuple[str, ...]:
    place = folders.folder(WORDS) / "vocab.txt"
    return tuple(read_text(place, error=DataError).removesuffix("\n").split("\n"))
