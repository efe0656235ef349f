"""Every gate passes where it should and fails where it must; what never ran never passes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from pocketrec.recipe import Gates
from pocketrec.report import GateResult, Interval, MetricChange, RankingParity, RuntimeResult, TensorParity
from pocketrec.validate.gates import check_assumptions, check_gates

SCORES = TensorParity(
    function="main",
    output="scores",
    probes=3,
    elements=9,
    max_abs_error=1e-6,
    max_rel_error=1e-6,
    sqnr_db=90.0,
    cosine=1.0,
    worst_probe="all padding",
    histogram=(9,),
)
IDS = replace(SCORES, output="ids", max_abs_error=0.0, sqnr_db=math.inf, histogram=())
SAME = Interval(low=-0.0001, high=0.0001, confidence=0.95)


def change(metric: str, before: float, after: float, **given: Any) -> MetricChange:
    """A change with an interval of no width to speak of."""
    moved = after - before
    interval = replace(SAME, low=moved - 0.0001, high=moved + 0.0001)
    stated: dict[str, Any] = {
        "examples": 50,
        "resampled": "users",
        "deviation": 0.01,
        "intervals": (interval,),
    } | given
    return MetricChange(metric=metric, before=before, after=after, **stated)


def ranking(**artifact: float) -> RankingParity:
    """A reference of 0.1 beside the artifact's metrics."""
    names = {name.replace("_at_", "@"): value for name, value in artifact.items()}
    return RankingParity(
        examples=50,
        reference=dict.fromkeys(names, 0.1),
        artifact=names,
        changes=tuple(change(name, 0.1, value) for name, value in names.items()),
    )


RANKING = replace(ranking(ndcg_at_10=0.1), top_k_overlap=1.0)
GOOD = RuntimeResult(
    target="onnx",
    runtime="onnxruntime",
    status="ran",
    precision="float32",
    parity=(SCORES, IDS),
    ranking=RANKING,
)
HALF = replace(GOOD, precision="float16 storage, float32 accumulation")
ROUNDED = replace(GOOD, precision="float32, static int8 activations")


def failed(result: RuntimeResult, gates: Gates | None = None) -> dict[str, GateResult]:
    found = check_gates(gates or Gates(), [result])
    return {each.gate: each for each in found if each.status == "failed"}


def test_a_good_result_passes_every_gate_that_applies() -> None:
    for result, gate in ((GOOD, "same_numbers"), (HALF, "min_sqnr_db"), (ROUNDED, "min_sqnr_db")):
        found = check_gates(Gates(), [result])
        assert {each.status for each in found} == {"passed"}
        assert {each.gate for each in found} == {
            "comparison",
            "top_k_ids",
            gate,
            "max_ndcg_drop",
            "min_top_k_overlap",
        }


@pytest.mark.parametrize(
    ("result", "gate", "words"),
    [
        (
            replace(GOOD, parity=(replace(SCORES, max_abs_error=0.5, excess=50.0),)),
            "same_numbers",
            "main.scores: off by 0.5, 50 times what counts as the same numbers (worst on probe 'all ",
        ),
        (replace(GOOD, parity=(replace(SCORES, excess=math.nan),)), "same_numbers", "nan"),
        (replace(HALF, parity=(replace(SCORES, sqnr_db=12.0),)), "min_sqnr_db", "sqnr_db 12, limit at least"),
        (replace(GOOD, parity=(SCORES, replace(IDS, mismatches=2))), "top_k_ids", "2 of 9 ids differ"),
        (replace(GOOD, parity=(replace(SCORES, failure="3 NaN"),)), "comparison", "main.scores: 3 NaN"),
        (replace(GOOD, parity=(SCORES, replace(IDS, elements=0))), "comparison", "nothing was compared"),
        (replace(GOOD, parity=()), "comparison", "nothing was compared"),
        (replace(GOOD, ranking=None), "quality", "not compared"),
        (replace(GOOD, ranking=replace(RANKING, examples=0)), "quality", "not compared"),
        (
            replace(GOOD, ranking=replace(ranking(ndcg_at_10=0.2), top_k_overlap=1.0)),
            "max_ndcg_drop",
            "change +0.1",
        ),
        (replace(GOOD, ranking=replace(RANKING, artifact={})), "max_ndcg_drop", "nan"),
        (replace(GOOD, ranking=replace(RANKING, top_k_overlap=0.5)), "min_top_k_overlap", "0.5000"),
        (replace(GOOD, ranking=replace(RANKING, top_k_overlap=None)), "min_top_k_overlap", "not compared"),
        (
            replace(GOOD, ranking=ranking(auc=0.01, log_loss=0.1)),
            "max_auc_drop",
            "change -0.09",
        ),
        (
            replace(GOOD, ranking=ranking(auc=0.1, log_loss=0.6)),
            "max_log_loss_rise",
            "log_loss: 0.6",
        ),
    ],
)
def test_each_gate_fails_on_its_own_flaw(result: RuntimeResult, gate: str, words: str) -> None:
    found = failed(result)
    assert list(found) == [gate]
    assert words in found[gate].message


def test_a_stated_largest_error_takes_the_place_of_the_bound_that_follows_the_scale() -> None:
    near = replace(GOOD, parity=(replace(SCORES, max_abs_error=0.5, excess=0.5),))
    assert not failed(near)
    stated = failed(near, Gates(max_abs_error=1e-4))
    assert list(stated) == ["max_abs_error"]
    assert "max_abs_error 0.5, limit at most 0.0001" in stated["max_abs_error"].message
    assert not failed(replace(near, parity=(replace(SCORES, excess=3.0),)), Gates(max_abs_error=1e-4))


def test_none_switches_a_limit_off_but_not_the_comparison() -> None:
    off: dict[str, Any] = {
        "min_sqnr_db": None,
        "max_ndcg_drop": None,
        "min_top_k_overlap": None,
        "max_auc_drop": None,
        "max_log_loss_rise": None,
    }
    far = replace(HALF, parity=(replace(SCORES, sqnr_db=1.0),), ranking=None)
    assert not failed(far, Gates(**off))
    assert list(failed(replace(far, parity=()), Gates(**off))) == ["comparison"]


def test_what_did_not_run_fails_unless_the_recipe_lets_it_be_skipped() -> None:
    absent = RuntimeResult(target="coreml", runtime="coreml-framework", status="not_run", reason="no macOS")
    skipped = check_gates(Gates(), [absent])
    assert [each.status for each in skipped] == ["skipped"]
    assert "no macOS" in skipped[0].message
    assert failed(absent, Gates(may_skip=()))["ran"].message.startswith("not run: no macOS")


def test_leave_to_skip_every_runtime_of_a_target_does_not_pass_it() -> None:
    absent = RuntimeResult(target="coreml", runtime="coreml-framework", status="not_run", reason="no macOS")
    expected = {"onnx": ["onnxruntime"], "coreml": ["coreml-framework"]}
    found = [
        each for each in check_gates(Gates(), [GOOD, absent], expected=expected) if each.status == "failed"
    ]
    assert [(each.gate, each.target, each.message) for each in found] == [
        ("comparison", "coreml", "nothing was compared: coreml-framework did not run")
    ]


def test_a_branch_that_was_fixed_fails_until_the_recipe_allows_as_many() -> None:
    assumed = {"onnx": (), "coreml": ("model.py:3: bool is True", "model.py:7: bool is False")}
    none, two = check_assumptions(Gates(), assumed)
    assert (none.target, none.status) == ("onnx", "passed")
    assert (two.target, two.gate, two.status) == ("coreml", "max_assumptions", "failed")
    assert two.message == (
        "2 branches on values are fixed, limit at most 0: model.py:3: bool is True; model.py:7: bool is "
        "False; where that holds for all inputs, set gates.max_assumptions = 2"
    )
    for limit, status in ((1, "failed"), (2, "passed")):
        found = check_assumptions(Gates(max_assumptions=limit), assumed)
        assert [each.status for each in found] == ["passed", status]
    assert check_assumptions(Gates(max_assumptions=None), assumed) == ()


def test_nothing_examined_and_a_missing_result_fail() -> None:
    assert [each.status for each in check_gates(Gates(), [])] == ["failed"]
    found = check_gates(Gates(), [GOOD], expected={"onnx": ["onnxruntime"], "coreml": ["coreml-interpreter"]})
    assert [(each.target, each.gate) for each in found if each.status == "failed"] == [("coreml", "ran")]
