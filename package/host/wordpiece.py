"""Text as the tokens of a BERT vocabulary: words and punctuation, then the longest pieces that are there.

    text ─▶ special tokens apart ─▶ cleaned, small, without accents ─▶ words ─▶ pieces ─▶ start … end

The same as Hugging Face's `tokenizers`, code point by code point.
Source: Devlin et al., "BERT", 2019; Wu et al., "Google's Neural Machine Translation System", 2016, 4.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pocketrec.contract import Tokenizer
from pocketrec.package.host.items import Items
from pocketrec.package.host.unicode import (
    CHINESE,
    DROPPED,
    PUNCTUATION,
    SPACE,
    belongs,
    lowercase,
    without_marks,
)

_CONTINUES = "##"


def tokenize(text: str, tokenizer: Tokenizer, vocabulary: Items, most: int) -> list[int]:
    """The ids of a text between the start and the end token, at most `most` of them: the text's end is cut.

    A special token that stands in the text as it is written in the vocabulary is that token. A word of more
    characters than the tokenizer allows, or with a piece that the vocabulary lacks, is the unknown token.
    """
    places = vocabulary.places
    found: list[int] = []
    for part, special in _parts(text, _specials(tokenizer, vocabulary)):
        if special:
            found.append(places[part])
            continue
        for word in words(part, tokenizer):
            found.extend(_pieces(word, tokenizer, places))
    whole = [places[tokenizer.start], *found[: max(most - 2, 0)], places[tokenizer.end]]
    return whole[:most]


def words(text: str, tokenizer: Tokenizer) -> list[str]:
    """The words and signs of punctuation of a text, normalized as the tokenizer says."""
    characters: Iterable[str] = _cleaned(text, tokenizer)
    accents = tokenizer.lowercase if tokenizer.strip_accents is None else tokenizer.strip_accents
    if accents:
        characters = without_marks(characters)
    normal = "".join(characters)
    return "".join(_spaced(lowercase(normal) if tokenizer.lowercase else normal)).split(" ")


def _specials(tokenizer: Tokenizer, vocabulary: Items) -> list[str]:
    """The tokens that no text is cut into, longest first."""
    named = {tokenizer.unknown, tokenizer.start, tokenizer.end, tokenizer.mask}
    aside = {vocabulary.tokens[place] for place in vocabulary.spec.aside}
    return sorted(((named & vocabulary.places.keys()) | aside) - {""}, key=lambda each: (-len(each), each))


def _parts(text: str, specials: list[str]) -> Iterator[tuple[str, bool]]:
    """The text cut at special tokens, each part with whether it is one."""
    start = place = 0
    while place < len(text):
        special = next((each for each in specials if text.startswith(each, place)), None)
        if special is None:
            place += 1
            continue
        yield text[start:place], False
        yield special, True
        start = place = place + len(special)
    yield text[start:], False


def _cleaned(text: str, tokenizer: Tokenizer) -> Iterator[str]:
    """The characters without control characters, white space as spaces, Chinese ones between spaces."""
    for each in text:
        if belongs(each, DROPPED):
            continue
        if belongs(each, SPACE):
            yield " "
        elif tokenizer.tokenize_chinese_chars and belongs(each, CHINESE):
            yield from (" ", each, " ")
        else:
            yield each


def _spaced(text: str) -> Iterator[str]:
    """The text with every sign of punctuation between spaces."""
    for each in text:
        yield f" {each} " if belongs(each, PUNCTUATION) else each


def _pieces(word: str, tokenizer: Tokenizer, places: Mapping[str, int]) -> list[int]:
    """The longest pieces from the left; nothing for an empty word."""
    if len(word) > tokenizer.max_characters_per_word:
        return [places[tokenizer.unknown]]
    found: list[int] = []
    start = 0
    while start < len(word):
        prefix = _CONTINUES if start else ""
        ends = range(len(word), start, -1)
        end = next((each for each in ends if prefix + word[start:each] in places), None)
        if end is None:
            return [places[tokenizer.unknown]]
        found.append(places[prefix + word[start:end]])
        start = end
    return found
