"""The gate on stress names what is wrong, and passes nothing of which nothing was compared."""

from __future__ import annotations

from dataclasses import replace

from pocketrec.recipe import Gates
from pocketrec.report import RuntimeResult, StressCase
from pocketrec.validate.gates import check_gates, check_parity_gates
from pocketrec.validate.stress_gate import stress_verdict

SAME = StressCase(function="main", kind="ids", name="item = 1", outcome="same", excess=0.25, output="y")
REFUSED = replace(SAME, kind="batches", name="8", outcome="refused", excess=0.0, reason="takes 1")
WRONG = replace(SAME, name="item = 2", outcome="differs", excess=12.0, reason="y: off by 3")


def test_what_is_the_same_or_refused_as_documented_passes() -> None:
    left = replace(REFUSED, outcome="left_out")
    status, message = stress_verdict([SAME, replace(SAME, excess=0.1), REFUSED, left])
    assert status == "passed"
    assert message == (
        "2 cases give the reference's answer, 1 its or a stated refusal, 1 were left out; the furthest is "
        "0.25 of what is allowed (main, ids: item = 1)"
    )


def test_one_case_that_differs_or_did_not_run_fails_and_is_named() -> None:
    assert stress_verdict([SAME, WRONG]) == ("failed", "1 of 2 cases: main, ids: item = 2: y: off by 3")
    assert stress_verdict([SAME, replace(WRONG, outcome="same")])[0] == "failed"  # its number says so
    assert stress_verdict([SAME, replace(SAME, excess=float("nan"))])[0] == "failed"
    not_run = replace(SAME, outcome="not_run", reason="no artifact")
    assert stress_verdict([SAME, not_run])[0] == "failed"
    status, message = stress_verdict([SAME, *[WRONG] * 5])
    assert status == "failed"
    assert message.endswith("; and 2 more")


def test_without_a_case_that_was_compared_nothing_passes() -> None:
    for cases in ([], [REFUSED], [replace(SAME, outcome="left_out")]):
        assert stress_verdict(cases) == ("failed", "no case was compared")


def test_a_build_that_asks_for_stress_fails_on_a_result_without_it() -> None:
    result = RuntimeResult(target="onnx", runtime="onnxruntime", status="ran")
    gates = {each.gate: each for each in check_gates(Gates(), [result], stressed=True)}
    assert gates["stress"].status == "failed"
    assert "stress" not in {each.gate for each in check_gates(Gates(), [result])}
    for found in (
        check_gates(Gates(), [replace(result, stress=(WRONG,))]),
        check_parity_gates(Gates(), [replace(result, stress=(WRONG,))]),
    ):
        assert {each.gate: each.status for each in found}["stress"] == "failed"
