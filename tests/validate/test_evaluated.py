"""Each evaluation is run on an artifact by itself, and what fails in one says nothing of another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketrec.contract import Contract, Output
from pocketrec.errors import ExecutionError
from pocketrec.evaluation import Asked, ClassificationData, RankingData
from pocketrec.recipe import Evaluate, Gates, gates_by_name
from pocketrec.report import RuntimeResult
from pocketrec.validate.controls.decoys import check_decoys
from pocketrec.validate.evidence import Reference, examine_reference, examine_target
from pocketrec.validate.gates import check_gates
from pocketrec.validate.runtimes.runtime import Array

ROWS = 300
GATES = Gates(max_abs_error=1.0, min_top_k_overlap=None)


def probabilities(outputs: dict[str, Array]) -> dict[str, Array]:
    """Two heads, made of the scores of two items."""
    scores = np.asarray(outputs["scores"], np.float64)
    both = {name: 1 / (1 + np.exp(-scores[:, place])) for name, place in (("click", 3), ("buy", 7))}
    return {**outputs, **{name: each.astype(np.float32) for name, each in both.items()}}


def swapped(outputs: dict[str, Array]) -> dict[str, Array]:
    found = probabilities(outputs)
    return {**found, "click": found["buy"], "buy": found["click"]}


def broken(outputs: dict[str, Array]) -> dict[str, Array]:
    """The second head gives noise that does not depend on its inputs."""
    found = probabilities(outputs)
    noise = np.random.default_rng(len(found["buy"])).random(found["buy"].shape)
    return {**found, "buy": noise.astype(np.float32)}


@pytest.fixture
def two_heads(contract: Contract) -> Contract:
    main = contract.functions["main"]
    heads = tuple(Output(name=each, meaning="probability", shape=("batch",)) for each in ("click", "buy"))
    return replace(contract, functions={"main": replace(main, outputs=(*main.outputs, *heads))})


@pytest.fixture
def asked(fake: Any) -> list[Asked]:
    rng = np.random.default_rng(1)
    inputs = {
        "history": rng.integers(1, 40, (ROWS, 6)).astype(np.int32),
        "age": rng.normal(size=(ROWS, 1)).astype(np.float32),
    }
    likely = fake(spoil=probabilities).run(inputs)
    return [
        Asked(
            evaluate=Evaluate(name=name, data="x:y", kind="classification", output=name),
            data=ClassificationData(
                inputs=inputs, labels=(rng.random(ROWS) < likely[name]).astype(np.float32)
            ),
            name=name,
        )
        for name in ("click", "buy")
    ]


@pytest.fixture
def reference(fake: Any, two_heads: Contract, asked: list[Asked]) -> Reference:
    return examine_reference({"main": fake(name="pytorch", spoil=probabilities)}, two_heads, asked)


def examine(reference: Reference, runtime: Any) -> RuntimeResult:
    given = {"main": Path("main.onnx")}
    return examine_target(
        "onnx", "onnxruntime", given, reference=reference, gates=GATES, open_with=lambda *_, **__: runtime
    )


def ended(reference: Reference, result: RuntimeResult, *names: str) -> dict[str, str]:
    held = gates_by_name(GATES, [each.asked.evaluate for each in reference.evaluations])
    found = check_gates(GATES, [result], held=held)
    return {each.gate: each.status for each in found if each.gate.partition(" of ")[0] in names}


def test_heads_that_are_right_pass_each_by_its_name(reference: Reference, fake: Any) -> None:
    result = examine(reference, fake(spoil=probabilities))
    assert [each.name for each in result.rankings] == ["click", "buy"]
    assert ended(reference, result, "max_auc_drop", "max_log_loss_rise") == {
        f"{gate} of {name}": "passed"
        for name in ("click", "buy")
        for gate in ("max_auc_drop", "max_log_loss_rise")
    }


def test_heads_that_are_swapped_both_fail(reference: Reference, fake: Any) -> None:
    found = ended(reference, examine(reference, fake(spoil=swapped)), "max_auc_drop", "same_numbers")
    assert found == {"max_auc_drop of click": "failed", "max_auc_drop of buy": "failed"}


def test_a_second_head_of_noise_fails_alone(reference: Reference, fake: Any) -> None:
    result = examine(reference, fake(spoil=broken))
    assert ended(reference, result, "max_auc_drop") == {
        "max_auc_drop of click": "passed",
        "max_auc_drop of buy": "failed",
    }
    click, buy = result.rankings
    assert click.calibration is not None
    assert buy.calibration is not None
    assert (bool(click.calibration.warning), bool(buy.calibration.warning)) == (False, True)


def test_a_head_that_was_not_compared_fails_by_its_name(reference: Reference, fake: Any) -> None:
    result = examine(reference, fake(spoil=probabilities))
    assert ended(reference, replace(result, further=()), "quality") == {"quality of buy": "failed"}
    assert ended(reference, replace(result, ranking=None), "quality") == {"quality of click": "failed"}


def test_rows_that_both_heads_evaluate_are_compared_once(reference: Reference, fake: Any) -> None:
    assert [each.like for each in reference.evaluations] == [0, 0]
    result = examine(reference, fake(spoil=probabilities))
    assert sorted(each.output for each in result.rows) == ["best_ids", "buy", "click", "scores"]


def test_heads_of_the_same_rows_cost_one_run_and_reach_what_runs_of_their_own_do(
    reference: Reference, fake: Any, two_heads: Contract, asked: list[Asked]
) -> None:
    alone = {"main": fake(name="pytorch", spoil=probabilities)}
    known = examine_reference(alone, two_heads, asked[1:])
    first: Any = reference.runtimes["main"]
    assert len(alone["main"].calls) == len(first.calls)
    assert known.evaluations[0].quality.metrics == reference.evaluations[1].quality.metrics
    together, apart = fake(spoil=broken), fake(spoil=broken)
    both, one = examine(reference, together).rankings[1], examine(known, apart).rankings[0]
    assert both == replace(one, name="buy")
    assert len(together.calls) == len(apart.calls)


def test_rows_of_other_data_are_compared_too_and_named(
    fake: Any, two_heads: Contract, asked: list[Asked], data: RankingData, evaluate: Evaluate
) -> None:
    lists = Asked(evaluate=evaluate, data=data, name="scores")
    found = examine_reference({"main": fake(name="pytorch", spoil=probabilities)}, two_heads, [*asked, lists])
    assert [each.like for each in found.evaluations] == [0, 0, 2]
    result = examine(found, fake(spoil=probabilities))
    assert [each.name for each in result.rankings] == ["click", "buy", "scores"]
    worst = {each.worst_probe.partition(" row")[0] for each in result.rows}
    assert worst == {"click, evaluation", "scores, evaluation"}


def test_an_artifact_that_fails_in_one_evaluation_is_compared_in_the_others(
    fake: Any, two_heads: Contract, asked: list[Asked], data: RankingData, evaluate: Evaluate
) -> None:
    lists = Asked(evaluate=evaluate, data=data, name="scores")
    found = examine_reference(
        {"main": fake(name="pytorch", spoil=probabilities)}, two_heads, [asked[0], lists]
    )
    ages = {each.tobytes() for each in data.inputs["age"]}

    class Failing(fake):  # type: ignore[misc]
        def run(self, inputs: Any) -> dict[str, Array]:
            if self.failing and any(each.tobytes() in ages for each in inputs["age"]):
                raise ExecutionError("it fell")
            return super().run(inputs)  # type: ignore[no-any-return]

        failing = False

    runtime = Failing(spoil=probabilities)
    runtime.failing = True
    result = examine(found, runtime)
    assert result.further == ()
    assert result.ranking is not None
    assert result.ranking.name == "click"


def test_a_head_that_no_gate_could_fail_is_named(reference: Reference, fake: Any) -> None:
    ran = examine(reference, fake(spoil=probabilities))
    wide = Gates(max_auc_drop=None, max_log_loss_rise=None, max_abs_error=1.0)
    found = check_decoys({"click": GATES, "buy": wide}, reference, [ran])
    assert [each.gate for each in found] == ["can_fail of click", "can_fail of buy"]
    assert "cannot fail" in found[1].message
