"""The three numbers are the worst of their kind, say where, and are marked where a gate on them failed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.validate.report.toys import EMPTY

from pocketrec.report import (
    ArtifactSize,
    Evidence,
    GateResult,
    Interval,
    LatencyResult,
    MetricChange,
    RankingParity,
    RuntimeResult,
)
from pocketrec.validate.report.headline import counted, headlines, main_metric

LATENCY = LatencyResult(load_ms=1, p50_ms=2, p95_ms=3, p99_ms=4, runs=10, threads=1, batch=1)


def change(low: float, high: float, metric: str = "ndcg@10") -> MetricChange:
    return MetricChange(
        metric=metric,
        before=0.5,
        after=0.5 + (low + high) / 2,
        resampled="users",
        intervals=(Interval(low=low, high=high, confidence=0.95),),
    )


def result(
    target: str, *changes: MetricChange, runtime: str = "onnxruntime", p50: float = 2.0
) -> RuntimeResult:
    values = {each.metric: each.after for each in changes}
    ranking = (
        RankingParity(examples=7, reference=values, artifact=values, changes=changes) if changes else None
    )
    latency = {"main": replace(LATENCY, p50_ms=p50)}
    return RuntimeResult(target=target, runtime=runtime, status="ran", ranking=ranking, latency=latency)


def gate(name: str, status: str) -> GateResult:
    return GateResult(gate=name, target="onnx", runtime="", status=status, message="")  # type: ignore[arg-type]


def evidence(*results: RuntimeResult, gates: tuple[GateResult, ...] = ()) -> Evidence:
    return replace(
        EMPTY,
        results=results,
        sizes=tuple(
            ArtifactSize(target=name, function="main", path="", size_bytes=size, tensors=())
            for name, size in (("onnx", 1500), ("coreml", 1000), ("coreml", 900))
        ),
        gates=gates,
    )


def test_the_ranking_is_that_of_which_the_interval_leaves_the_largest_loss_open() -> None:
    found = evidence(result("onnx", change(-0.1, 0.3)), result("coreml", change(-0.01, -0.005)))
    ranking, _, _ = headlines(found)
    assert ranking.label == "Change of ndcg@10, at worst"
    assert ranking.value == "+0.10"
    assert "onnx on onnxruntime; 95 % interval −0.10 to +0.30, 7 users" in ranking.note


def test_of_a_loss_a_rise_is_the_worse() -> None:
    found = evidence(
        result("onnx", change(-0.3, -0.1, "log_loss")), result("coreml", change(0.0, 0.02, "log_loss"))
    )
    assert headlines(found)[0].value == "+0.010"


def test_sizes_are_whole_targets_and_the_largest_stands_first() -> None:
    _, size, _ = headlines(evidence())
    assert (size.value, size.note) == ("1.9 kB", "coreml; onnx 1.5 kB")


def test_a_time_is_none_of_the_reference_and_none_of_an_interpreter() -> None:
    played = result("coreml", runtime="coreml-interpreter", p50=50.0)
    reference = result("reference", runtime="pytorch", p50=4.0)
    _, _, time = headlines(evidence(reference, played, result("onnx", p50=3.0)))
    assert time.value == "3.00 ms"
    assert "0.75× PyTorch's" in time.note
    _, _, time = headlines(evidence(reference, played))
    assert time.value == "not measured"
    assert "Only the interpreter ran here" in time.note


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("max_ndcg_drop of users: cold", 0),
        ("max_size_mb", 1),
        ("max_load_ms", 2),
        ("versus.min_top_k_overlap", 0),
        ("versus.max_churn", 0),
        ("versus.max_size_growth", 1),
        ("versus.max_latency_ratio", 2),
        ("versus.due_version", None),
    ],
)
def test_a_failed_gate_marks_its_number_and_no_other(name: str, place: int | None) -> None:
    marks = [each.failed for each in headlines(evidence(gates=(gate(name, "failed"),)))]
    assert marks == [number == place for number in range(3)]


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        (("passed", "passed"), "All 2 gates passed."),
        (("passed",), "The one gate passed."),
        (("failed", "passed"), "1 of 2 gates failed."),
        (("failed", "skipped"), "1 of 1 gate failed. 1 gate was skipped."),
        ((), "No gate ran, so nothing was proved."),
        (("skipped", "skipped"), "No gate ran, so nothing was proved. 2 gates were skipped."),
    ],
)
def test_the_verdict_counts(statuses: tuple[str, ...], said: str) -> None:
    assert counted(evidence(gates=tuple(gate("x", each) for each in statuses))) == said


def test_the_metric_is_ndcg_at_10_before_others() -> None:
    many = [change(0, 0, name) for name in ("hr@10", "ndcg@5", "ndcg@10")]
    assert main_metric(evidence(result("onnx", *many))) == "ndcg@10"
    assert main_metric(evidence(result("onnx", change(0, 0, "log_loss")))) == "log_loss"
    assert main_metric(evidence()) == ""


def test_without_evaluation_the_ranking_is_not_measured() -> None:
    assert headlines(evidence(result("onnx")))[0].value == "not measured"
