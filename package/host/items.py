"""A word to an id and back: tokens first, then titles, and what a misspelt word may have been meant for.

Comparisons are by code points, exact; only near misses ignore the case of ASCII letters.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from pocketrec.contract import VocabularySpec
from pocketrec.errors import CallError
from pocketrec.package.host.answers import Unknown

_NEAR = 3  # suggestions
_SHORTEST_PART, _SHORTEST_WORD = 3, 4  # code points from which on a part, or a whole word, tells anything
_MOST_EDITS = 2
_MOST_COMPARED = 20_000  # items of which every one is compared letter by letter
_LISTED = 5  # tokens named for a title that several items have
_LONGEST = 80  # code points of a word in a message


def quoted(word: str) -> str:
    """The word in quotation marks, as JSON writes it; a long one is cut."""
    return json.dumps(word if len(word) <= _LONGEST else f"{word[:_LONGEST]}…", ensure_ascii=False)


def shown(value: Any) -> str:
    """A value as JSON writes it, cut where it is long."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


class Items:
    """The items of one vocabulary: every id that is not set aside."""

    def __init__(
        self,
        name: str,
        spec: VocabularySpec,
        tokens: Sequence[str],
        titles: Sequence[str] = (),
        spellings: Sequence[str] = (),
    ) -> None:
        self.name, self.spec, self.tokens, self.titles = name, spec, tokens, titles
        self._spellings = spellings
        self._aside = spec.aside
        self._by_token = {token: place for place, token in enumerate(tokens) if place not in self._aside}

    @cached_property
    def spelled(self) -> dict[int, tuple[int, ...]]:
        """Every item's id to the ids that spell it in another vocabulary."""
        lines = enumerate(self._spellings)
        return {place: tuple(map(int, line.split(" "))) for place, line in lines if self.is_item(place)}

    @cached_property
    def places(self) -> dict[str, int]:
        """Every token's id, those that are set aside among them."""
        return {token: place for place, token in enumerate(self.tokens)}

    @cached_property
    def _by_title(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for place, title in enumerate(self.titles):
            if title and place not in self._aside:
                found.setdefault(title, []).append(place)
        return found

    def shown(self, place: int) -> str:
        """The title of an id; its token where there is none."""
        return (self.titles[place] if self.titles else "") or self.tokens[place]

    def is_item(self, place: int) -> bool:
        """Whether an id is one of the vocabulary and not set aside."""
        return 0 <= place < len(self.tokens) and place not in self._aside

    def find(self, word: str) -> int | None:
        """The id of a token, else of a title; None where neither is there.

        Raises:
            CallError: `ambiguous_title`, where several items have the title.
        """
        if not word:
            return None
        place = self._by_token.get(word)
        if place is not None:
            return place
        places = self._by_title.get(word, [])
        if len(places) > 1:
            raise CallError("ambiguous_title", self._ambiguous(word, places))
        return places[0] if places else None

    def _ambiguous(self, word: str, places: Sequence[int]) -> str:
        listed = ", ".join(self.tokens[each] for each in places[:_LISTED])
        more = ", …" if len(places) > _LISTED else ""
        return f"{quoted(word)} is the title of {len(places)} items: {listed}{more}; pass a token"

    def unknown(self, word: str) -> Unknown:
        """The word with what it may have been meant for."""
        return Unknown(given=word, near=self.near(word))

    def refused(self, word: str) -> CallError:
        """What to raise for a word that is no item, where no id stands for the unknown."""
        near = " or ".join(quoted(each) for each in self.near(word))
        said = f"did you mean {near}? " if near else ""
        return CallError(
            "unknown_item", f"{quoted(word)} is no item of {quoted(self.name)}; {said}pass a token or a title"
        )

    def near(self, word: str) -> tuple[str, ...]:
        """Up to three words that this one may have been meant for, in the order of their ids.

        Those that contain it; where there are none, those within two edits, the fewest edits first.
        """
        given = _lower(word)
        if len(given) >= _SHORTEST_PART:
            found = self._containing(given)
            if found:
                return tuple(self.shown(each) for each in found)
        if len(given) < _SHORTEST_WORD or len(self.tokens) > _MOST_COMPARED:
            return ()
        close = sorted(
            (edits, place)
            for place in range(len(self.tokens))
            if place not in self._aside
            if (edits := min(edit_distance(given, each) for each in self._words(place))) <= _MOST_EDITS
        )
        return tuple(self.shown(place) for _, place in close[:_NEAR])

    def _containing(self, given: str) -> list[int]:
        found: list[int] = []
        for place in range(len(self.tokens)):
            if place not in self._aside and any(given in each for each in self._words(place)):
                found.append(place)
                if len(found) == _NEAR:
                    break
        return found

    def _words(self, place: int) -> list[str]:
        words = [self.tokens[place], self.titles[place]] if self.titles else [self.tokens[place]]
        return [_lower(each) for each in words]


_ASCII = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def _lower(word: str) -> str:
    """The word with small ASCII letters; others stay, as languages differ in their case."""
    return word.translate(_ASCII)


def edit_distance(left: str, right: str) -> int:
    """Insertions, deletions and substitutions of code points from one word to the other, 3 for more than 2.

    Source: Wagner and Fischer, "The String-to-String Correction Problem", 1974.
    """
    more = _MOST_EDITS + 1
    if abs(len(left) - len(right)) > _MOST_EDITS:
        return more
    row = list(range(len(right) + 1))
    for place, letter in enumerate(left, 1):
        corner, row[0] = row[0], place
        for other, each in enumerate(right, 1):
            best = min(row[other] + 1, row[other - 1] + 1, corner + (letter != each))
            corner, row[other] = row[other], best
        if min(row) > _MOST_EDITS:
            return more
    return min(row[-1], more)
