"""No refusal sends its reader to a target that refuses, too."""

from __future__ import annotations

from pocketrec.errors import ConversionError, Refused
from pocketrec.pipeline.remedies import ANOTHER_TARGET, without_circles

KNOWN = ("onnx", "coreml")


def refusal(remedy: str) -> Refused:
    return Refused(op="topk", where="m.py:3", reason="it differs", remedy=remedy)


def test_two_targets_that_recommend_each_other_are_settled() -> None:
    refused = {"onnx": refusal(f"{ANOTHER_TARGET}, or report it"), "coreml": refusal(ANOTHER_TARGET)}
    found = without_circles(refused, (), KNOWN)
    assert str(found["onnx"]) == ("topk at m.py:3: it differs (and no other target computes it); report it")
    assert str(found["coreml"]).endswith("(and no other target computes it); report it with this module")


def test_a_target_that_was_delivered_or_not_asked_for_may_be_recommended() -> None:
    refused = {"onnx": refusal(ANOTHER_TARGET)}
    assert without_circles(refused, ("coreml",), KNOWN) == refused
    assert without_circles(refused, (), KNOWN) == refused


def test_other_remedies_stay() -> None:
    refused: dict[str, ConversionError] = {"onnx": refusal("sort first"), "coreml": ConversionError("no")}
    assert without_circles(refused, (), KNOWN) == refused
