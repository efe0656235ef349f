"""What a card says of a build is what the build found out, and times are only those of what would serve."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pocketrec.package.bundle import read_bundle
from pocketrec.pipeline.reports import evidence_of_bundle
from pocketrec.report import Evidence, GateResult, Interval, MetricChange, RuntimeResult, SliceChange
from pocketrec.validate.report.card import card_evidence, examined, measured

FIRST = Path(__file__).parents[2] / "fixtures" / "first" / "mean"


@pytest.fixture
def evidence() -> Evidence:
    return evidence_of_bundle(read_bundle(FIRST))


def test_times_of_a_stand_in_are_left_out_and_named(evidence: Evidence) -> None:
    """The fixture's Core ML ran on the interpreter, ONNX on its own runtime."""
    said = card_evidence(evidence)
    assert [row[:2] for row in said.latency.rows] == [("reference", "pytorch"), ("onnx", "onnxruntime")]
    assert said.pretended == (
        "coreml on coreml-interpreter: the interpreter ran there, whose times are none of a device.",
    )
    (row,) = [row for row in said.latency.rows if row[0] == "onnx"]
    (onnx,) = [each for each in evidence.results if each.target == "onnx"]
    assert row[4] == f"{onnx.latency['main'].p50_ms:.3f}"


def test_what_did_not_run_and_what_was_skipped_is_said_with_its_reason(evidence: Evidence) -> None:
    said = card_evidence(evidence)
    assert [each.split(":")[0] for each in said.not_run] == ["coreml on coreml-framework"]
    assert any(each.startswith("Gate skipped: ran, coreml on coreml-framework") for each in said.limits)
    assert not any(each.startswith("Not run") for each in said.limits), "it has a section of its own"


def test_a_gate_that_failed_is_said_with_its_reason(evidence: Evidence) -> None:
    assert card_evidence(evidence).failed == ()
    gate = GateResult(gate="max_size", target="onnx", runtime="", status="failed", message="3 MB, 2 allowed")
    said = card_evidence(replace(evidence, gates=(*evidence.gates, gate)))
    assert said.failed == ("max_size, onnx: 3 MB, 2 allowed",)
    assert said.verdict.startswith("1 of ")


def test_metrics_and_slices_come_with_the_interval_of_their_change(evidence: Evidence) -> None:
    interval = Interval(low=-0.02, high=0.01, confidence=0.95)
    change = MetricChange(
        metric="ndcg@10",
        before=0.5,
        after=0.49,
        examples=24,
        resampled="users",
        intervals=(interval,),
        method="bca",
    )
    part = SliceChange(division="country", label="DE", examples=24, large=True, changes=(change,))

    def with_parts(result: RuntimeResult) -> RuntimeResult:
        if result.target != "onnx" or result.ranking is None:
            return result
        return replace(result, ranking=replace(result.ranking, changes=(change,), slices=(part,)))

    assert card_evidence(evidence).slices.rows == []
    said = card_evidence(replace(evidence, results=tuple(map(with_parts, evidence.results))))
    (row,) = said.slices.rows
    assert row[2] == "country: DE"
    assert "[-0.02, +0.01]" in row
    assert [row[6] for row in said.metrics.rows if row[:3] == ["onnx", "onnxruntime", "ndcg@10"]] == [
        "[-0.02, +0.01]"
    ]


def test_metadata_has_every_artifact_and_not_what_compression_made_on_the_way(evidence: Evidence) -> None:
    found = {(metric, where) for metric, where, _ in measured(evidence)}
    places = ("reference on pytorch", "onnx on onnxruntime", "coreml on coreml-interpreter")
    assert found == {(metric, where) for metric in ("hr@10", "ndcg@10") for where in places}
    assert examined(evidence) == "24"
    assert examined(replace(evidence, results=())) == ""
