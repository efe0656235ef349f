"""The Swift host asks a model what the Python host asks it, and answers the same, for every role."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.package.swift.conftest import Harness, write_vocabulary
from tests.package.tapes import CONTRACTS, tape_of

pytestmark = pytest.mark.swift


@pytest.fixture(scope="module")
def tapes() -> dict[str, Any]:
    return {name: tape_of(contract) for name, contract in CONTRACTS.items()}


def replayed(tapes: dict[str, Any], harness: Harness, folder: Path) -> dict[str, Any]:
    for name, tape in tapes.items():
        for vocabulary, words in tape["vocabularies"].items():
            write_vocabulary(folder / name, vocabulary, words)
    return harness("tapes", folder, tapes)


def test_every_role_is_called_as_in_python(tapes: dict[str, Any], harness: Harness, tmp_path: Path) -> None:
    found = replayed(tapes, harness, tmp_path)
    assert {name: each["differences"] for name, each in found.items()} == {name: [] for name in tapes}
    assert sum(each["compared"] for each in found.values()) > 300
    assert all(each["rules"] >= 25 for each in found.values())


def test_another_answer_another_question_and_another_rule_are_found(
    tapes: dict[str, Any], harness: Harness, tmp_path: Path
) -> None:
    """The comparison is one that can fail."""
    tape = json.loads(json.dumps(tapes["rank"]))
    wrong = {name: json.loads(json.dumps(tape)) for name in ("answer", "question", "rule", "letters")}
    call = next(each for each in wrong["answer"]["vectors"]["calls"] if each["answer"])
    call["answer"]["items"][0]["score"] += 1
    for run in wrong["question"]["runs"]:
        run["inputs"]["film"]["data"][0] += 1
    wrong["rule"]["vectors"]["rules"][0]["answer"].reverse()
    call = next(
        each for each in wrong["letters"]["vectors"]["calls"] if (each["answer"] or {}).get("unknown")
    )
    call["answer"]["unknown"][0]["given"] += "\u0301"
    found = replayed(wrong, harness, tmp_path)
    assert "place 0 is" in found["answer"]["differences"][0]
    assert "not on the tape" in found["question"]["differences"][0]
    assert found["rule"]["differences"][0].startswith("top_k of")
    assert "as unknown" in found["letters"]["differences"][0]
