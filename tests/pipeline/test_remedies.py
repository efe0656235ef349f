"""No refusal sends its reader to a target that refuses, too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pocketrec
from pocketrec.errors import ConversionError, Refused
from pocketrec.pipeline.remedies import without_circles

KNOWN = ("onnx", "coreml")
ROOMS = ("convert", "pipeline", "quantize", "source")


def refusal(remedy: str, *, elsewhere: bool = True) -> Refused:
    return Refused(op="topk", where="m.py:3", reason="it differs", remedy=remedy, elsewhere=elsewhere)


@pytest.mark.parametrize(
    ("remedy", "elsewhere", "said"),
    [
        ("sort first", True, "topk at m.py:3: it differs; sort first, or use another target"),
        ("sort first", False, "topk at m.py:3: it differs; sort first"),
        ("", True, "topk at m.py:3: it differs; use another target"),
        ("", False, "topk at m.py:3: it differs"),
    ],
)
def test_a_refusal_says_remedy_and_whether_another_target_may_do(
    remedy: str, elsewhere: bool, said: str
) -> None:
    assert str(refusal(remedy, elsewhere=elsewhere)) == said


def test_two_targets_that_recommend_each_other_are_settled() -> None:
    refused = {"onnx": refusal("sort first"), "coreml": refusal("")}
    found = without_circles(refused, (), KNOWN)
    assert str(found["onnx"]) == "topk at m.py:3: it differs (and no other target computes it); sort first"
    assert str(found["coreml"]).endswith("(and no other target computes it); report it with this module")


def test_a_target_that_was_delivered_or_not_asked_for_may_be_recommended() -> None:
    refused = {"onnx": refusal("")}
    assert without_circles(refused, ("coreml",), KNOWN) == refused
    assert without_circles(refused, (), KNOWN) == refused


def test_other_remedies_stay() -> None:
    refused = {"onnx": refusal("sort first", elsewhere=False), "coreml": ConversionError("no")}
    assert without_circles(refused, (), KNOWN) == refused


def test_no_stage_recommends_a_target_in_words_that_cannot_be_taken_back() -> None:
    """What is in a remedy's own words stays where no target is left; `elsewhere` is what is taken back."""
    root = Path(pocketrec.__file__).parent
    words = re.compile(r"another target|for (ONNX|Core ML) only", re.IGNORECASE)
    files = [path for room in ROOMS for path in (root / room).rglob("*.py")]
    assert len(files) > 50
    assert [str(path) for path in files if words.search(path.read_text(encoding="utf-8"))] == []
