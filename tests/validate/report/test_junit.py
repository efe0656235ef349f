"""JUnit XML: a gate is a test case, what did not run is skipped, and any text is well formed."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from tests.validate.report.toys import EMPTY

from pocketrec.report import Evidence, GateResult, RuntimeResult
from pocketrec.validate.report.junit import to_junit


def gate(name: str, status: str, message: str = "m", runtime: str = "onnxruntime") -> GateResult:
    return GateResult(gate=name, target="onnx", runtime=runtime, status=status, message=message)  # type: ignore[arg-type]


def evidence(*gates: GateResult, results: tuple[RuntimeResult, ...] = ()) -> Evidence:
    return replace(EMPTY, results=results, gates=gates)


def read(found: Evidence) -> ElementTree.Element:
    return ElementTree.fromstring(to_junit(found))


def test_gates_are_cases_of_their_target_and_runtime() -> None:
    root = read(
        evidence(gate("a", "passed"), gate("b", "failed", "far"), gate("size", "skipped", runtime=""))
    )
    assert dict(root.attrib) == {
        "name": "pocketrec toy",
        "tests": "3",
        "failures": "1",
        "errors": "0",
        "skipped": "1",
    }
    first, second = root
    assert (first.get("name"), second.get("name")) == ("onnx on onnxruntime", "onnx")
    assert [each.get("name") for each in first] == ["a", "b"]
    failure = first[1].find("failure")
    assert failure is not None
    assert (failure.get("message"), failure.text) == ("far", "far")
    assert second[0].find("skipped") is not None


def test_what_did_not_run_is_skipped_once() -> None:
    absent = RuntimeResult(target="coreml", runtime="framework", status="not_run", reason="only on macOS")
    (suite,) = read(evidence(results=(absent,)))
    skipped = suite[0].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "not run: only on macOS"
    told = gate("ran", "failed", "not run")
    other = RuntimeResult(target="onnx", runtime="onnxruntime", status="not_run")
    assert read(evidence(told, results=(other,))).get("tests") == "1"


def test_no_two_cases_of_a_suite_have_one_name() -> None:
    gates = [gate("drop", "passed", f"ndcg@{k}: 0") for k in (5, 10)]
    gates += [gate("same", "passed", "x"), gate("same", "failed", "x")]
    names = [each.get("name") for each in read(evidence(*gates)).iter("testcase")]
    assert names == ["drop: ndcg@5", "drop: ndcg@10", "same: x (1)", "same: x (2)"]


@pytest.mark.parametrize("text", ['<a b="c">&', "]]>", "\x00\x1b[31m\ud800\uffff", "zwei\nZeilen", "🎬"])
def test_any_text_is_well_formed(text: str) -> None:
    root = read(evidence(gate(text, "failed", text)))
    failure = root[0][0].find("failure")
    assert failure is not None
    assert failure.text is not None
    if text.isprintable():
        assert failure.text == text
