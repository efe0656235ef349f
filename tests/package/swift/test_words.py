"""The Swift of text and of beam search answers as the Python does, and as Hugging Face."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.package.host.test_wordpiece import ALIKE, KINDS, ODD, TOKENS, other
from tests.package.searches import searches
from tests.package.swift.conftest import Harness, write_vocabulary

from pocketrec.package.host.beam import PrefixTrie, Tokens, beam_search
from pocketrec.package.host.unicode import _tables
from pocketrec.package.host.wordpiece import tokenize

pytestmark = pytest.mark.swift
MARKS = "\u0334\u0301\U0001d165\u302e"  # of different combining classes, so that some change places


def decomposed() -> Iterator[str]:
    """Every character that decomposes, between marks, a hundred a text; half a surrogate pair is no text."""
    ends = _tables()["decomposes"]
    codes = [code for start, end in zip(ends[::2], ends[1::2], strict=True) for code in range(start, end)]
    codes = [code for code in codes if not 0xAC00 < code < 0xD7A0 or code % 97 == 0]  # a share of Hangul
    for start in range(0, len(codes), 100):
        yield " ".join(f"{chr(code)}{MARKS}" for code in codes[start : start + 100])


TEXTS = [*(f"a{odd}b {odd}\u0301" for odd in ODD), *decomposed()]


def texts() -> list[dict[str, Any]]:
    return [
        {"text": text, "tokenizer": asdict(kind), "most": most}
        for text, kind, most in product(TEXTS, KINDS, (4, 999))
    ]


@pytest.fixture(scope="module")
def answers(harness: Harness, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the compiled Swift answers."""
    folder = tmp_path_factory.mktemp("words")
    write_vocabulary(folder, "word", {"tokens": TOKENS})
    return harness("words", folder, {"spec": asdict(ALIKE.spec), "texts": texts(), "searches": searches()})


def test_every_text_has_the_same_tokens_in_both_languages(answers: dict[str, Any]) -> None:
    for (text, kind, most), found in zip(product(TEXTS, KINDS, (4, 999)), answers["cut"], strict=True):
        assert found == tokenize(text, kind, ALIKE, most), (text, kind)


def test_every_text_has_the_tokens_of_hugging_face(answers: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text("".join(f"{each}\n" for each in TOKENS), encoding="utf-8")
    others = [other(path, kind) for kind in KINDS]
    asked = product(TEXTS, zip(KINDS, others, strict=True), (4, 999))
    for (text, (kind, made), most), found in zip(asked, answers["cut"], strict=True):
        made.enable_truncation(most)
        assert found == made.encode(text).ids, (text, kind)


def test_every_search_finds_the_same_items_in_the_same_order(answers: dict[str, Any]) -> None:
    for each, found in zip(searches(), answers["found"], strict=True):
        logits = each["logits"]

        def step(prefixes: Tokens, logits: dict[str, list[float]] = logits) -> Any:
            return np.array([logits[",".join(map(str, row[1:]))] for row in prefixes.tolist()])

        expected = beam_search(step, PrefixTrie(each["catalogue"]), beam_width=each["beamWidth"])
        assert [one["item"] for one in found] == expected.items.tolist()
        assert [one["score"] for one in found] == pytest.approx(expected.scores.tolist(), rel=2e-7)


def test_a_search_ends_between_steps_and_refuses_what_are_no_logits(answers: dict[str, Any]) -> None:
    assert (answers["aborted"], answers["steps"]) == ("CancellationError", 1)
    vocabulary = dict.fromkeys(("uneven", "twice", "negative"), "bad_vocabulary")
    assert answers["refused"] == {"nan": "bad_score", "short": "bad_output", **vocabulary}
