"""The TypeScript host asks a model what the Python host asks it, and answers the same, for every role."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.package.tapes import CONTRACTS, tape_of

SCRIPT = Path(__file__).with_name("tapes.mjs")


@pytest.fixture(scope="module")
def tapes() -> dict[str, Any]:
    return {name: tape_of(contract) for name, contract in CONTRACTS.items()}


def replayed(tapes: dict[str, Any], compiled: Path) -> dict[str, Any]:
    host = compiled / "dist" / "src" / "host" / "index.js"
    node = [str(shutil.which("node")), str(SCRIPT), str(host)]
    done = subprocess.run(node, input=json.dumps(tapes), capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def test_every_role_is_called_as_in_python(tapes: dict[str, Any], compiled: Path) -> None:
    found = replayed(tapes, compiled)
    assert {name: each["differences"] for name, each in found.items()} == {name: [] for name in tapes}
    assert sum(each["compared"] for each in found.values()) > 300
    assert all(each["rules"] >= 25 for each in found.values())


def test_another_answer_another_question_and_another_rule_are_found(
    tapes: dict[str, Any], compiled: Path
) -> None:
    """The comparison is one that can fail."""
    tape = json.loads(json.dumps(tapes["rank"]))
    wrong = {name: json.loads(json.dumps(tape)) for name in ("answer", "question", "rule")}
    call = next(each for each in wrong["answer"]["vectors"]["calls"] if each["answer"])
    call["answer"]["items"][0]["score"] += 1
    for run in wrong["question"]["runs"]:
        run["inputs"]["film"]["data"][0] += 1
    wrong["rule"]["vectors"]["rules"][0]["answer"].reverse()
    found = replayed(wrong, compiled)
    assert "place 0 is" in found["answer"]["differences"][0]
    assert "not on the tape" in found["question"]["differences"][0]
    assert found["rule"]["differences"][0].startswith("top_k of")
