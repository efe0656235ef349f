"""Reports say of quality what the evidence holds: intervals, slices that moved, small ones, and drift."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pocketrec.report import (
    Calibration,
    Evidence,
    Interval,
    ListChange,
    MetricChange,
    RankingParity,
    RuntimeResult,
    SliceChange,
)
from pocketrec.validate.measure.machine import this_machine
from pocketrec.validate.report.quality import calibration, lists, metrics, quality_notes, slices
from pocketrec.validate.report.summary import notes, summary_rows

NARROW = Interval(low=-0.03, high=-0.01, confidence=0.95)
WIDE = Interval(low=-0.04, high=0.001, confidence=0.975)
FELL = MetricChange(
    metric="ndcg@10",
    before=0.3,
    after=0.28,
    examples=200,
    resampled="users",
    differing=20,
    fell=15,
    deviation=0.1,
    intervals=(NARROW, WIDE),
    method="bca",
)
LISTS = ListChange(k=10, overlap=0.9, rank_biased_overlap=0.8, churn=0.1, changed=0.5, first_changed=0.2)
COLD = SliceChange(division="users", label="cold", examples=200, large=True, changes=(FELL,))


def result(*slices: SliceChange, calibration: Calibration | None = None) -> RuntimeResult:
    ranking = RankingParity(
        examples=400,
        reference={"ndcg@10": 0.3},
        artifact={"ndcg@10": 0.29},
        changes=(replace(FELL, after=0.29),),
        slices=slices,
        lists=(
            ListChange(k=10, overlap=0.9, rank_biased_overlap=0.8, churn=0.1, changed=0.5, first_changed=0.2),
        ),
        calibration=calibration,
    )
    return RuntimeResult(target="onnx", runtime="onnxruntime", status="ran", ranking=ranking)


@pytest.fixture
def evidence() -> Evidence:
    drift = Calibration(
        ece=(0.01, 0.05), adaptive_ece=(0.01, 0.05), shift=0.04, interval=NARROW, warning="they drifted"
    )
    return Evidence(
        recipe="demo",
        recipe_sha256="a",
        contract_sha256="b",
        machine=this_machine(),
        versions={},
        results=(result(COLD, calibration=drift),),
        sizes=(),
        rewrites=(),
        gates=(),
    )


def test_slices_are_shown_with_the_interval_that_holds_together(evidence: Evidence) -> None:
    tables = {
        each.title: each.rows for each in (make(evidence) for make in (metrics, slices, lists, calibration))
    }
    (row,) = tables["Quality on the evaluation data"]
    assert row[2:] == (
        "ndcg@10",
        "0.30000",
        "0.29000",
        "-0.01",
        "[-0.03, -0.01]",
        "bca, by users",
        "7.50%",
        "400",
    )
    (row,) = tables["Slices; intervals hold together (Holm)"]
    assert row[2] == "users: cold"
    assert row[7:] == ("[-0.04, +0.001]", "bca, by users", "7.50%", "200")
    (row,) = tables["Lists, before and after"]
    assert row[2:] == ("10", "0.9000", "0.8000", "0.1000", "—", "50.00%", "20.00%", "—", "—", "—", "—")
    (row,) = tables["Calibration of probabilities"]
    assert row[2:] == ("0.0100 → 0.0500", "0.0100 → 0.0500", "+0.04", "[-0.03, -0.01]", "they drifted")


def test_a_slice_is_said_to_have_moved_where_all_slices_together_allow_it() -> None:
    alone = "onnx on onnxruntime: by Holm's procedure over the slices, ndcg@10 of users: cold moved by -0.02."
    assert list(quality_notes(result(COLD))) == [alone]
    warm = replace(COLD, label="warm", changes=(replace(FELL, intervals=(WIDE, WIDE)),))
    assert list(quality_notes(result(COLD, warm))) == []


def test_small_slices_are_named() -> None:
    small = replace(COLD, label="new", examples=7, large=False)
    (said,) = quality_notes(result(small))
    assert said == "onnx on onnxruntime: too small to be gated, and shown only: users: new (7)."


def test_drift_is_a_note_of_the_terminal_and_of_both_reports(evidence: Evidence) -> None:
    assert "onnx on onnxruntime: they drifted." in notes(evidence)


def test_the_terminal_shows_the_interval_where_somebody_differs(evidence: Evidence) -> None:
    assert summary_rows(evidence)[0].ranking.startswith("ndcg@10 0.2900 [-0.03, -0.01]")
    same = result()
    assert same.ranking is not None
    calm = replace(same.ranking, changes=(replace(FELL, differing=0),))
    shown = summary_rows(replace(evidence, results=(replace(same, ranking=calm),)))[0].ranking
    assert shown == "ndcg@10 0.2900"
