"""What a character is, by tables instead of by the Unicode version that a language was built with.

The tables say what Hugging Face's `tokenizers` does, whose Unicode versions differ from table to table, so
that every language cuts a text alike. A later Unicode changes nothing here: how the letters that exist are
decomposed never changes, and what is newer than the tables is left as it is.
"""

from __future__ import annotations

import json
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

DROPPED, SPACE, CHINESE = "dropped", "space", "chinese"
MARKS, PUNCTUATION, DECOMPOSES = "marks", "punctuation", "decomposes"


@cache
def _tables() -> dict[str, Any]:
    path = Path(__file__).with_name("unicode.json")
    tables: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return tables


def belongs(character: str, kind: str) -> bool:
    """Whether a character is in the set of that name: an odd number of the set's ends lies at or below it."""
    ends: Sequence[int] = _tables()[kind]
    return bisect_right(ends, ord(character)) % 2 == 1


def _moves_and_goes(character: str) -> bool:
    """Whether a character is a mark that decomposing leaves as it is, but for its place among others."""
    moves = unicodedata.combining(character) and not unicodedata.decomposition(character)
    return bool(moves) and belongs(character, MARKS)


@cache
def _small_letters() -> dict[int, str]:
    tables = _tables()
    small = {
        code: chr(code + distance)
        for first, last, step, distance in tables["lowercase"]
        for code in range(first, last + 1, step)
    }
    longer = {int(code): "".join(map(chr, codes)) for code, codes in tables["lowercase_longer"].items()}
    return small | longer


def lowercase(text: str) -> str:
    """The text with small letters, each by itself: no language's rules, no final sigma."""
    return text.translate(_small_letters())


def without_marks(characters: Iterable[str]) -> Iterator[str]:
    """The characters canonically decomposed, without the marks that take no space of their own."""
    for decomposes, run in groupby(characters, lambda each: belongs(each, DECOMPOSES)):
        # Marks that only move among each other go first: to put a page of them in order takes minutes.
        text = "".join(each for each in run if not (decomposes and _moves_and_goes(each)))
        # A character that is newer than the tables neither decomposes nor lets a mark move past it.
        parts = unicodedata.normalize("NFD", text) if decomposes else text
        yield from (each for each in parts if not belongs(each, MARKS))
