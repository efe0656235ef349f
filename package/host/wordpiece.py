"""Text as the tokens of a BERT vocabulary: words and punctuation, then the longest pieces that are there.

Source: Devlin et al., "BERT", 2019; Wu et al., "Google's Neural Machine Translation System", 2016, 4.1.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from pocketrec.contract import Tokenizer
from pocketrec.package.host.items import Items

_CHINESE = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F)),
    *((0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)
_PUNCTUATION = ((33, 47), (58, 64), (91, 96), (123, 126))  # of ASCII, symbols among them


def tokenize(text: str, tokenizer: Tokenizer, vocabulary: Items, most: int) -> list[int]:
    """The ids of a text between the start and the end token, at most `most`: the end of the text is cut."""
    ids = [_id(vocabulary, tokenizer.start)]
    for word in words(text, tokenizer):
        ids.extend(_pieces(word, tokenizer, vocabulary))
    return [*ids[: most - 1], _id(vocabulary, tokenizer.end)]


def words(text: str, tokenizer: Tokenizer) -> Iterator[str]:
    """Words and signs of punctuation, normalized as the tokenizer says."""
    cleaned = "".join(_cleaned(text, tokenizer))
    accents = tokenizer.lowercase if tokenizer.strip_accents is None else tokenizer.strip_accents
    if accents:
        parts = unicodedata.normalize("NFD", cleaned)
        cleaned = "".join(each for each in parts if unicodedata.category(each) != "Mn")
    if tokenizer.lowercase:
        cleaned = "".join(each.lower() for each in cleaned)
    for word in cleaned.split(" "):
        yield from _split(word)


def _cleaned(text: str, tokenizer: Tokenizer) -> Iterator[str]:
    """The characters without control characters, white space as spaces, Chinese ones between spaces."""
    for each in text:
        if each in "\t\n\r" or unicodedata.category(each) == "Zs":
            yield " "
        elif unicodedata.category(each).startswith("C") or each == "\ufffd":
            continue
        elif tokenizer.tokenize_chinese_chars and any(low <= ord(each) <= high for low, high in _CHINESE):
            yield f" {each} "
        else:
            yield each


def _split(word: str) -> Iterator[str]:
    """A word cut at its punctuation, every sign of which is one of its own."""
    held = ""
    for each in word:
        if _is_punctuation(each):
            if held:
                yield held
            yield each
            held = ""
        else:
            held += each
    if held:
        yield held


def _is_punctuation(each: str) -> bool:
    code = ord(each)
    return any(low <= code <= high for low, high in _PUNCTUATION) or unicodedata.category(each)[0] == "P"


def _pieces(word: str, tokenizer: Tokenizer, vocabulary: Items) -> list[int]:
    """The longest pieces from the left; the unknown token where one is missing or the word is too long."""
    found: list[int] = []
    start = 0
    while start < len(word) <= tokenizer.max_characters_per_word:
        prefix = "##" if start else ""
        ends = range(len(word), start, -1)
        end = next((each for each in ends if _known(vocabulary, prefix + word[start:each]) is not None), None)
        if end is None:
            return [_id(vocabulary, tokenizer.unknown)]
        found.append(_id(vocabulary, prefix + word[start:end]))
        start = end
    return found or [_id(vocabulary, tokenizer.unknown)]


def _known(vocabulary: Items, piece: str) -> int | None:
    return vocabulary.places.get(piece)


def _id(vocabulary: Items, token: str) -> int:
    return vocabulary.places[token]
