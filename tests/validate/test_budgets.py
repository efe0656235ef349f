"""A budget is about the files that ship and the times that were measured, target by target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from pocketrec.recipe import Compress, Gates
from pocketrec.report import ArtifactSize, GateResult, LatencyResult, RuntimeResult, TensorSize, WebFacts
from pocketrec.validate.budgets import check_budgets

CONSTANT = TensorSize(name="folded", dtype="float32", shape=(192_000,), size_bytes=768_000)
SIZES = (
    ArtifactSize(target="onnx", function="main", path="a", size_bytes=900_000, tensors=(CONSTANT,)),
    ArtifactSize(target="onnx", function="other", path="b", size_bytes=200_000, tensors=()),
    ArtifactSize(target="coreml", function="main", path="c", size_bytes=240_000, tensors=()),
)
FAST = LatencyResult(load_ms=20.0, p50_ms=1.0, p95_ms=2.0, p99_ms=3.0, runs=10, threads=1, batch=1)
ONNX = RuntimeResult(
    target="onnx",
    runtime="onnxruntime",
    status="ran",
    latency={"main": FAST, "other": replace(FAST, p50_ms=4.0, load_ms=50.0)},
)
INTERPRETED = replace(ONNX, target="coreml", runtime="coreml-interpreter")
ABSENT = RuntimeResult(target="coreml", runtime="coreml-framework", status="not_run", reason="no macOS")
RESULTS = (replace(ONNX, target="reference"), ONNX, INTERPRETED, ABSENT)


def found(
    gates: Mapping[str, Any], compress: Compress | None = None, targets: tuple[str, ...] = ("onnx", "coreml")
) -> list[GateResult]:
    return list(check_budgets(Gates(**gates), compress or Compress(), SIZES, RESULTS, targets))


def test_without_limits_there_is_no_gate() -> None:
    assert found({}) == []


def test_all_files_of_a_target_count_with_constants_that_stayed_in_float32() -> None:
    """1.1 MB of files do not pass as 0.25 MB because that is what the compressed weights take."""
    onnx, coreml = found({}, Compress(max_size_mb=0.25))
    assert (onnx.target, onnx.gate, onnx.status) == ("onnx", "max_size_mb", "failed")
    assert onnx.message == (
        "1.1 MB on disk, limit at most 0.25 MB; the largest tensors are folded (float32, 0.768 MB)"
    )
    assert (coreml.target, coreml.status) == ("coreml", "passed")


def test_the_tighter_of_budget_and_gate_holds_and_a_target_has_its_own() -> None:
    (onnx, _) = found({"max_size_mb": 1.0}, Compress(max_size_mb=2.0))
    assert onnx.status == "failed"
    assert "limit at most 1 MB" in onnx.message
    (only,) = found({"max_size_mb": {"coreml": 0.2}})
    assert (only.target, only.status) == ("coreml", "failed")


def test_a_budget_of_one_target_holds_it_alone() -> None:
    (only,) = found({}, Compress(max_size_mb={"onnx": 1.0}))
    assert (only.target, only.status) == ("onnx", "failed")
    both = found({}, Compress(max_size_mb={"onnx": 1.2, "coreml": 0.2}))
    assert [(each.target, each.status) for each in both] == [("onnx", "passed"), ("coreml", "failed")]
    beside = found({"max_size_mb": {"coreml": 0.3}}, Compress(max_size_mb={"onnx": 1.2}))
    assert [(each.target, each.status) for each in beside] == [("onnx", "passed"), ("coreml", "passed")]


def test_a_target_without_files_fails() -> None:
    (gate,) = found({"max_size_mb": 9.0}, targets=("browser",))
    assert (gate.status, gate.message) == ("failed", "there is no file to weigh")


@pytest.mark.parametrize(
    ("gate", "limit", "status", "message"),
    [
        ("max_p50_ms", 4.0, "passed", "other: 4 ms on this machine, limit at most 4 ms"),
        ("max_p50_ms", 3.9, "failed", "other: 4 ms on this machine, limit at most 3.9 ms"),
        ("max_load_ms", 50.0, "passed", "other: 50 ms on this machine, limit at most 50 ms"),
        ("max_load_ms", 49.0, "failed", "other: 50 ms on this machine, limit at most 49 ms"),
    ],
)
def test_times_are_those_of_the_slowest_function(gate: str, limit: float, status: str, message: str) -> None:
    (one,) = found({gate: limit}, targets=("onnx",))
    assert (one.status, one.message) == (status, message)


def test_the_interpreter_and_an_absent_runtime_are_no_measurement() -> None:
    gates = found({"max_p50_ms": 100.0})
    assert [each.status for each in gates] == ["passed", "skipped", "skipped"]
    alone = found({"max_p50_ms": {"coreml": 100.0}})
    assert [each.status for each in alone] == ["skipped", "skipped", "failed"]
    assert "no target could be measured" in alone[-1].message
    absent = found({"max_p50_ms": 100.0, "may_skip": ()})
    assert [each.status for each in absent] == ["passed", "skipped", "failed"]


def test_a_target_without_latency_fails_its_gate() -> None:
    (gate,) = check_budgets(Gates(max_p50_ms=1.0), Compress(), SIZES, (replace(ONNX, latency={}),), ("onnx",))
    assert (gate.status, gate.message) == ("failed", "nothing was measured")


def test_webgpu_in_software_is_no_measurement() -> None:
    """Its time passes no gate, and no gate passes on it alone."""
    facts = WebFacts(creation_ms=1.0, first_run_ms=1.0, adapter="google swiftshader", software=True, files=())
    played = replace(ONNX, target="onnx", runtime="web-webgpu", web={"main": facts})
    gates = Gates(max_p50_ms=1e5)
    found = check_budgets(gates, Compress(), [], [played], ["onnx"])
    assert [each.status for each in found] == ["skipped", "failed"]
    assert found[0].message == "WebGPU in software: its times are no device's"
    real = replace(played, web={"main": replace(facts, software=False)})
    assert [each.status for each in check_budgets(gates, Compress(), [], [real], ["onnx"])] == ["passed"]
