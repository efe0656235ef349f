"""The TypeScript of text and of beam search answers as the Python does."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.package.host.test_wordpiece import ALIKE, KINDS, ODD, TOKENS
from tests.package.searches import Logits, searches

from pocketrec.package.host.beam import PrefixTrie, Tokens, beam_search
from pocketrec.package.host.wordpiece import tokenize

TEXTS = [f"a{odd}b {odd}\u0301" for odd in (*ODD, "\ud83d", "\ude00")] + ["the\ud83d\x00\udc4dtoy"]


def texts() -> list[dict[str, Any]]:
    return [
        {"text": text, "tokenizer": asdict(kind), "most": most}
        for text, kind, most in product(TEXTS, KINDS, (4, 999))
    ]


@pytest.fixture(scope="module")
def answers(compiled: Path) -> dict[str, Any]:
    """What the compiled TypeScript answers."""
    given = json.dumps(
        {"spec": asdict(ALIKE.spec), "tokens": TOKENS, "texts": texts(), "searches": searches()}
    )
    host = compiled / "dist" / "src" / "host" / "index.js"
    script = ["node", str(Path(__file__).with_name("words.mjs")), str(host)]
    ran = subprocess.run(script, input=given, capture_output=True, check=True, text=True, timeout=120)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_every_text_has_the_same_tokens_in_both_languages(answers: dict[str, Any]) -> None:
    kinds = {json.dumps(asdict(kind)): kind for kind in KINDS}
    for each, found in zip(texts(), answers["cut"], strict=True):
        kind = kinds[json.dumps(each["tokenizer"])]
        assert found == tokenize(each["text"], kind, ALIKE, each["most"]), each


def test_every_search_finds_the_same_items_in_the_same_order(answers: dict[str, Any]) -> None:
    for each, found in zip(searches(), answers["found"], strict=True):
        logits = each["logits"]

        def step(prefixes: Tokens, logits: Logits = logits) -> Any:
            return np.array([logits[",".join(map(str, row[1:]))] for row in prefixes.tolist()])

        expected = beam_search(step, PrefixTrie(each["catalogue"]), beam_width=each["beamWidth"])
        assert [one["item"] for one in found] == expected.items.tolist()
        assert [one["score"] for one in found] == pytest.approx(expected.scores.tolist(), rel=2e-7)


def test_a_search_ends_between_steps_and_refuses_what_are_no_logits(answers: dict[str, Any]) -> None:
    assert (answers["aborted"], answers["steps"]) == ("AbortError", 1)
    assert answers["refused"] == {"nan": "bad_score", "short": "RangeError"}
