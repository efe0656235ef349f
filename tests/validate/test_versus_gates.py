"""Gates against the release before act on intervals, and what could not be compared passes none of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.validate.test_quality_gates import changed, noise, ranking, sliced

from pocketrec.recipe import Versus
from pocketrec.recipe.measures import ChangeLimits
from pocketrec.report import (
    Bump,
    Change,
    GateResult,
    LatencyChange,
    ListChange,
    Moved,
    Release,
    ReleaseDiff,
    SizeChange,
)
from pocketrec.validate.versus_gates import check_versus

OLD = Release(path="old", name="a", version="1.0.0", tree_sha256="0" * 64)
ENOUGH = Bump(old="1.0.0", new="1.0.1", due="1.0.1", kind="patch", enough=True)
LISTS = ListChange(
    k=10, overlap=0.8, rank_biased_overlap=0.8, churn=0.2, changed=0.5, first_changed=0.1, kendall_tau=0.9
)


def found(**parts: Any) -> ReleaseDiff:
    """Two releases between which nothing changed but what is given."""
    quality = replace(ranking(changed(np.zeros(500))), top_k_overlap=0.8, lists=(LISTS,))
    same: dict[str, Any] = {
        "old": OLD,
        "new": replace(OLD, version="1.0.1"),
        "level": "same",
        "changes": (),
        "bump": ENOUGH,
        "sizes": (
            SizeChange(target="onnx", function="main", tensor="", old_bytes=1000, new_bytes=1000),
            SizeChange(target="onnx", function="main", tensor="item", old_bytes=900, new_bytes=100),
        ),
        "ranking": Moved(target="onnx", runtime="onnxruntime 1", quality=quality, kept=(0, 5)),
    }
    return ReleaseDiff(**{**same, **parts})


def measured(**parts: Any) -> LatencyChange:
    known: dict[str, Any] = {
        "target": "onnx",
        "function": "main",
        "runtime": "onnxruntime 1",
        "old_ms": 1.0,
        "new_ms": 1.05,
        "ratio": 1.05,
        "low": 1.01,
        "high": 1.09,
        "rounds": 100,
    }
    return LatencyChange(**{**known, **parts})


def only(gates: tuple[GateResult, ...], gate: str) -> GateResult:
    (one,) = [each for each in gates if each.gate == f"versus.{gate}"]
    return one


def decided(versus: Versus, diff: ReleaseDiff | None, gate: str) -> tuple[str, str]:
    one = only(check_versus(versus, diff), gate)
    return one.status, one.message


def test_nothing_changed_passes_every_gate() -> None:
    versus = Versus(
        max_ndcg_drop=0.01,
        min_top_k_overlap=0.8,
        max_churn=0.2,
        max_size_growth=0.0,
        max_latency_ratio=1.1,
    )
    gates = check_versus(versus, found(latency=(measured(),)))
    assert [each.gate.removeprefix("versus.") for each in gates] == [
        "due_version",
        "max_ndcg_drop",
        "min_top_k_overlap",
        "max_churn",
        "max_size_growth",
        "max_latency_ratio",
    ]
    assert {each.status for each in gates} == {"passed"}


def test_a_breaking_change_without_its_version_fails_and_is_named() -> None:
    broken = Change(level="breaking", where="vocabulary item", what="2 moved", why="ids mean other items")
    bump = Bump(old="1.0.0", new="1.0.1", due="2.0.0", kind="major", enough=False)
    diff = found(level="breaking", changes=(broken,), bump=bump)
    status, told = decided(Versus(), diff, "due_version")
    assert status == "failed"
    assert "a major version is due: 2.0.0, and it is 1.0.1" in told
    assert told.endswith("breaking: vocabulary item: 2 moved; ids mean other items")
    assert check_versus(Versus(due_version=False, max_size_growth=0.0), diff)[0].gate != "versus.due_version"


def test_vocabularies_that_may_only_grow_are_held_to_it() -> None:
    versus = Versus(due_version=False, append_only=True)
    grown = Change(level="addition", where="vocabulary item", what="3 more at the end (a, b, c)")
    other = Change(level="breaking", where="main, input history", what="is gone")
    assert decided(versus, found(level="breaking", changes=(grown, other)), "append_only")[0] == "passed"
    moved = Change(level="breaking", where="vocabulary item", what="2 moved", why="ids mean other items")
    diff = found(level="breaking", changes=(grown, moved))
    told = "vocabulary item: 2 moved; ids mean other items"
    assert decided(versus, diff, "append_only") == ("failed", told)
    assert [each.gate for each in check_versus(Versus(), diff)] == ["versus.due_version"]


def test_a_loss_that_the_interval_leaves_open_fails_and_says_how_many_users_would_tell() -> None:
    moved = Moved(target="onnx", runtime="onnxruntime 1", quality=ranking(changed(noise(500, 0.1))))
    status, told = decided(Versus(max_ndcg_drop=0.002), found(ranking=moved), "max_ndcg_drop")
    assert status == "failed"
    assert "a larger change is not excluded, about " in told
    assert told.endswith("users would tell")


def test_a_gain_is_no_loss() -> None:
    better = Moved(target="onnx", runtime="x", quality=ranking(changed(noise(500, 0.001) + 0.05)))
    assert decided(Versus(max_ndcg_drop=0.002), found(ranking=better), "max_ndcg_drop")[0] == "passed"
    worse = Moved(target="onnx", runtime="x", quality=ranking(changed(noise(500, 0.001) - 0.05)))
    assert decided(Versus(max_ndcg_drop=0.002), found(ranking=worse), "max_ndcg_drop")[0] == "failed"


def test_a_slice_that_fell_fails_where_the_whole_does_not() -> None:
    cold = sliced("cold", noise(500, 0.001) - 0.05, 1)
    quality = ranking(changed(np.zeros(5000)), slices=(cold,))
    versus = Versus(max_ndcg_drop=0.01, slices={cold.division: ChangeLimits(max_ndcg_drop=0.01)})
    gates = check_versus(versus, found(ranking=Moved(target="onnx", runtime="x", quality=quality)))
    assert only(gates, "max_ndcg_drop").status == "passed"
    assert only(gates, f"max_ndcg_drop of {cold.name}").status == "failed"


@pytest.mark.parametrize(
    ("gate", "limit", "status"),
    [
        ("min_top_k_overlap", 0.8, "passed"),
        ("min_top_k_overlap", 0.81, "failed"),
        ("max_churn", 0.2, "passed"),
        ("max_churn", 0.19, "failed"),
    ],
)
def test_lists_are_held_to_floor_and_ceiling(gate: str, limit: float, status: str) -> None:
    versus = Versus(**{gate: limit})  # type: ignore[arg-type]
    assert decided(versus, found(), gate)[0] == status


def test_lists_that_were_not_compared_pass_nothing() -> None:
    bare = Moved(target="onnx", runtime="x", quality=ranking(changed(np.zeros(500))))
    versus = Versus(max_churn=0.5, min_top_k_overlap=0.1)
    for gate in ("max_churn", "min_top_k_overlap"):
        assert decided(versus, found(ranking=bare), gate) == ("failed", "the lists were not compared")


def test_what_cannot_be_compared_fails_every_gate_on_rankings_without_a_number() -> None:
    versus = Versus(
        max_ndcg_drop=0.1,
        min_top_k_overlap=0.1,
        max_churn=0.9,
        slices={"users": ChangeLimits(max_ndcg_drop=0.1)},
    )
    other = Moved(reason="not comparable: a 1.0.0 was evaluated on other data")
    gates = [each for each in check_versus(versus, found(ranking=other)) if "due" not in each.gate]
    assert len(gates) == 4
    assert {(each.status, each.message) for each in gates} == {("failed", other.reason)}


@pytest.mark.parametrize(("size", "status"), [(1050, "passed"), (1051, "failed")])
def test_files_may_grow_by_a_share(size: int, status: str) -> None:
    grown = SizeChange(target="onnx", function="main", tensor="", old_bytes=1000, new_bytes=size)
    assert decided(Versus(max_size_growth=0.05), found(sizes=(grown,)), "max_size_growth")[0] == status


def test_a_target_that_the_baseline_lacks_has_not_grown_and_does_not_stand_for_one_that_has() -> None:
    new = SizeChange(target="web", function="main", tensor="", old_bytes=None, new_bytes=10)
    kept = SizeChange(target="onnx", function="main", tensor="", old_bytes=10, new_bytes=10)
    both = check_versus(Versus(max_size_growth=0.0), found(sizes=(kept, new)))
    assert [(each.target, each.status) for each in both[1:]] == [("onnx", "passed"), ("web", "skipped")]
    alone = check_versus(Versus(max_size_growth=0.0), found(sizes=(new,)))
    assert [each.status for each in alone[1:]] == ["skipped", "failed"]
    assert "not comparable" in alone[-1].message


@pytest.mark.parametrize(
    ("parts", "status", "told"),
    [
        ({}, "passed", "1.050× in [1.010, 1.090], limit at most 1.1×"),
        ({"high": 1.11}, "failed", "a larger ratio is not excluded, raise latency.runs"),
        ({"ratio": 1.3, "low": 1.2, "high": 1.4}, "failed", "1.300×"),
        ({"low": None, "high": None}, "failed", "too few for an interval"),
        ({"high": float("nan")}, "failed", "nan"),
    ],
)
def test_latency_is_held_by_the_interval_of_its_ratio(parts: dict[str, Any], status: str, told: str) -> None:
    given = decided(Versus(max_latency_ratio=1.1), found(latency=(measured(**parts),)), "max_latency_ratio")
    assert given[0] == status
    assert told in given[1]


def test_times_that_could_not_be_measured_pass_only_where_the_recipe_says_so() -> None:
    none = LatencyChange(target="coreml", function="main", reason="not measured: no device")
    strict = check_versus(Versus(max_latency_ratio=1.1), found(latency=(none,)))
    assert [each.status for each in strict[1:]] == ["skipped", "failed"]
    lenient = check_versus(Versus(max_latency_ratio=1.1, may_skip=("latency",)), found(latency=(none,)))
    assert [each.status for each in lenient[1:]] == ["skipped", "skipped"]


def test_inputs_that_break_fail_the_gate_on_latency() -> None:
    broken = LatencyChange(target="onnx", function="main", reason="not comparable: main, input a: is gone")
    versus = Versus(max_latency_ratio=1.1)
    assert check_versus(versus, found(latency=(broken, measured())))[1].status == "failed"


def test_a_build_without_a_baseline_fails_unless_the_recipe_lets_it() -> None:
    status, told = decided(Versus(max_churn=0.5), None, "baseline")
    assert status == "failed"
    assert told.startswith("not run: there is no baseline")
    assert "pass --baseline BUNDLE" in told
    assert decided(Versus(max_churn=0.5, may_skip=("baseline",)), None, "baseline")[0] == "skipped"
