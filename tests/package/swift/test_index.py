"""The index of a vocabulary finds every line by what it says, in Python's own reading and in Swift."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import asdict
from functools import reduce
from itertools import pairwise
from typing import Any

import pytest
from tests.package.swift.conftest import Harness, write_vocabulary

from pocketrec.contract import VocabularySpec
from pocketrec.errors import ArtifactError, CallError
from pocketrec.package.host.items import Items
from pocketrec.package.swift.index import index_of

TOKENS = ("[pad]", "b", "é", "e\u0301", "a", "[unk]", "twice", "twice")
TITLES = ("never", "Heat", "", "Ｈeat", "Heat", "never", "👍🏽 film", "")
SPEC = VocabularySpec(size=8, padding_id=0, unknown_id=5, sha256="0", titles_sha256="1")
WORDS = (*dict.fromkeys((*TOKENS, *TITLES)), "e", "Hea", "heat", "b\n", "\0", "👍🏽", "no such word")
HEAD = 64


def lines(words: tuple[str, ...]) -> bytes:
    return "".join(f"{each}\n" for each in words).encode()


INDEX = index_of(lines(TOKENS), lines(TITLES))


def fnv1a(data: bytes) -> int:
    return reduce(lambda found, byte: (found ^ byte) * 0x100000001B3 % 2**64, data, 0xCBF29CE484222325)


def columns(index: bytes, counts: list[int]) -> Iterator[tuple[list[int], list[int], list[int]]]:
    """Where lines begin, hashes and rows, for the tokens and for the titles."""
    place = HEAD
    for count, _, entries in zip(counts[::3], counts[1::3], counts[2::3], strict=True):
        found = []
        for code, many in (("I", count + 1), ("Q", entries), ("I", entries)):
            found.append(list(struct.unpack_from(f"<{many}{code}", index, place)))
            place += -(-struct.calcsize(f"<{many}{code}") // 8) * 8
        yield found[0], found[1], found[2]
    assert place == len(index)


def test_the_index_says_where_every_line_is_and_which_lines_have_a_hash() -> None:
    assert fnv1a(b"foobar") == 0x85944171F73967E8  # of the hash's own test vectors
    magic, version, zero, *counts = struct.unpack_from("<8sII6Q", INDEX)
    assert (magic, version, zero) == (b"PKTINDEX", 1, 0)
    assert counts == [8, len(lines(TOKENS)), 8, 8, len(lines(TITLES)), 6]
    for (begins, hashes, rows), words in zip(columns(INDEX, counts), (TOKENS, TITLES), strict=True):
        said = [lines(words)[start : end - 1].decode() for start, end in pairwise(begins)]
        assert said == list(words)
        assert [fnv1a(words[row].encode()) for row in rows] == hashes
        assert list(zip(hashes, rows, strict=True)) == sorted(zip(hashes, rows, strict=True))
        assert sorted(rows) == [row for row, word in enumerate(words) if word]


def test_a_vocabulary_without_titles_has_an_index_of_its_tokens() -> None:
    _, _, _, *counts = struct.unpack_from("<8sII6Q", index_of(b"a\n\nb\n"))
    assert counts == [3, 5, 2, 0, 0, 0]
    assert index_of(b"\n") == index_of(b"\n")


@pytest.mark.parametrize(
    ("tokens", "titles", "said"),
    [
        (b"", None, "tokens: ends within a line"),
        (b"a\nb", None, "tokens: ends within a line"),
        (b"a\n", b"A", "titles: ends within a line"),
        (b"a\nb\n", b"A\n", "titles: 1 lines; expected 2"),
    ],
)
def test_files_that_do_not_fit_are_refused(tokens: bytes, titles: bytes | None, said: str) -> None:
    with pytest.raises(ArtifactError, match=said):
        index_of(tokens, titles)


def in_python() -> list[str]:
    """What the reference finds of every word."""
    items, found = Items("item", SPEC, TOKENS, TITLES), []
    for word in WORDS:
        try:
            place = items.find(word)
            found.append("nothing" if place is None else str(place))
        except CallError as error:
            found.append(error.code)
    return [*found, "whole", "|".join(items.shown(place) for place in range(len(TOKENS)))]


def damaged() -> dict[str, bytes]:
    """Indexes that are cut, of other files, or have one byte changed, in every place and way."""
    found = {f"cut{size}": INDEX[:size] for size in (0, 7, 63, 64, 65, len(INDEX) - 8, len(INDEX) - 1)}
    found |= {"longer": INDEX + b"\0", "no titles": index_of(lines(TOKENS))}
    found["others"] = index_of(lines(TOKENS[::-1]), lines(TITLES[::-1]))
    found["shorter"] = index_of(lines(TOKENS[:-1]), lines(TITLES[:-1]))
    for place, byte in enumerate(INDEX):
        for what, other in (("one", byte ^ 1), ("top", byte ^ 0x80), ("all", 0xFF), ("none", 0)):
            changed = bytes([*INDEX[:place], other, *INDEX[place + 1 :]])
            if changed != INDEX and place not in padding():
                found[f"{place}{what}"] = changed
    return found


def padding() -> set[int]:
    """The bytes between the parts, which nobody reads: of nine 32-bit places twice."""
    ends = HEAD + 9 * 4
    return {*range(ends, ends + 4)} | {place + 4 + 8 * 8 + 8 * 4 + 9 * 4 for place in range(ends, ends + 4)}


@pytest.fixture(scope="module")
def found(harness: Harness, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the compiled Swift finds by the whole index and by every damaged one."""
    folder = tmp_path_factory.mktemp("index")
    write_vocabulary(folder, "item", {"tokens": TOKENS, "titles": TITLES})
    for name, index in damaged().items():
        (folder / name).write_bytes(index)
    names = ["item.index", *damaged()]
    return harness("index", folder, {"spec": asdict(SPEC), "words": WORDS, "indexes": names})


@pytest.mark.swift
def test_swift_finds_what_python_finds(found: dict[str, Any]) -> None:
    assert found["item.index"] == in_python()
    assert {"0", "5"} & set(in_python()[: len(WORDS)]) == set()  # what is set aside is no item
    assert "ambiguous_title" in in_python()


@pytest.mark.swift
def test_every_damage_is_told_and_no_word_is_taken_for_another(found: dict[str, Any]) -> None:
    """A damaged index may miss a word, or one of two that are alike; the check of the whole tells it."""
    right = in_python()
    for name in damaged():
        if len(found[name]) == 1:
            assert found[name] == ["bad_vocabulary"], name  # refused as it was opened
            continue
        *words, whole, _ = found[name]
        assert whole == "bad_vocabulary", name
        for word, expected, said in zip(WORDS, right, words, strict=False):
            own = {str(place) for place in range(8) if word in (TOKENS[place], TITLES[place])}
            assert said in {expected, "nothing", "bad_vocabulary"} | own, (name, word)
