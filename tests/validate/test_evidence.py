"""Examining finds a good artifact good, a broken one broken, and an absent engine absent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketrec.contract import Contract
from pocketrec.errors import ArtifactError, ExecutionError, RecipeError, UnsupportedOp
from pocketrec.evaluation import Asked, RankingData
from pocketrec.kept import Parts
from pocketrec.recipe import Evaluate, Gates, Latency, Stress
from pocketrec.report import RuntimeResult
from pocketrec.validate.evidence import Reference, examine_reference, examine_target
from pocketrec.validate.gates import check_gates
from pocketrec.validate.measure import quality
from pocketrec.validate.runtimes.runtime import RuntimeUnavailable
from pocketrec.validate.timing import with_latency
from pocketrec.workers import Workers

PATHS = {"main": Path("main.onnx")}


@pytest.fixture
def reference(fake: Any, contract: Contract, data: RankingData, evaluate: Evaluate) -> Reference:
    return examine_reference({"main": fake(name="pytorch")}, contract, [Asked(evaluate=evaluate, data=data)])


def examine(reference: Reference, runtime: Any) -> RuntimeResult:
    def open_with(path: Path, name: str, **_: Any) -> Any:
        if isinstance(runtime, Exception):
            raise runtime
        return runtime

    return examine_target(
        "onnx", "onnxruntime", PATHS, reference=reference, gates=Gates(), open_with=open_with
    )


def statuses(result: RuntimeResult) -> set[str]:
    return {each.status for each in check_gates(Gates(), [result])}


def test_a_good_artifact_of_fixed_shapes_passes(fake: Any, reference: Reference) -> None:
    result = examine(reference, fake(batch=1, length=6))
    assert statuses(result) == {"passed"}
    assert {each.output for each in result.parity} == {"scores", "best_ids"}
    assert result.ranking is not None
    assert result.ranking.examples == 20


def test_an_artifact_with_an_input_baked_in_is_caught(fake: Any, reference: Reference) -> None:
    frozen: dict[str, Any] = {}

    def spoil(outputs: dict[str, Any]) -> dict[str, Any]:
        first = frozen.setdefault("first", outputs)
        return {name: np.repeat(first[name][:1], len(array), 0) for name, array in outputs.items()}

    result = examine(reference, fake(spoil=spoil))
    failed = {each.gate: each for each in check_gates(Gates(), [result]) if each.status == "failed"}
    assert {"same_numbers", "top_k_ids"} <= set(failed)
    assert "main.scores: off by" in failed["same_numbers"].message


@pytest.mark.parametrize(
    "error", [ArtifactError("main.onnx: damaged"), ExecutionError("id 40 is beyond the table")]
)
def test_an_artifact_that_fails_leaves_evidence_that_fails(
    fake: Any, reference: Reference, error: Exception
) -> None:
    def spoil(outputs: dict[str, Any]) -> dict[str, Any]:
        raise error

    for runtime in (error, fake(spoil=spoil)):
        result = examine(reference, runtime)
        assert {each.failure for each in result.parity} == {str(error)}
        assert statuses(result) == {"failed"}


def test_a_function_without_an_artifact_fails(fake: Any, reference: Reference) -> None:
    both = replace(
        reference,
        contract=replace(
            reference.contract,
            functions={**reference.contract.functions, "other": reference.contract.functions["main"]},
        ),
    )
    result = examine(both, fake())
    assert {each.failure for each in result.parity if each.function == "other"} == {
        "the target has no artifact for this function"
    }
    assert "failed" in statuses(result)


def test_an_engine_that_is_not_there_did_not_run(reference: Reference) -> None:
    result = examine_target(
        "onnx", "onnxruntime", PATHS, reference=reference, gates=Gates(), open_with=_absent
    )
    assert result.status == "not_run"
    assert result.reason == "no such engine here"


def test_kept_parts_are_of_every_file_of_an_artifact(
    fake: Any, reference: Reference, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(quality, "_MOST_ROWS", 8)
    path = tmp_path / "main.onnx"

    def computed(name: str, data: bytes) -> int:
        (tmp_path / name).write_bytes(data)
        parts = Parts(tmp_path / "parts")
        examine_target(
            "onnx",
            "onnxruntime",
            {"main": path},
            reference=reference,
            gates=Gates(),
            open_with=lambda *_, **__: fake(),
            workers=Workers(parts=parts),
        )
        return parts.computed

    assert computed("main.onnx", b"graph") == 3
    assert computed("main.onnx", b"graph") == 0
    assert computed("main.onnx.data", b"weights") == 3
    assert computed("main.onnx.data", b"others") == 3
    assert computed("main.onnx.data", b"weights") == 0


def _absent(path: Path, name: str, **_: Any) -> Any:
    raise RuntimeUnavailable("no such engine here")


def test_an_engine_that_lacks_an_op_did_not_run(fake: Any, reference: Reference) -> None:
    def spoil(outputs: dict[str, Any]) -> dict[str, Any]:
        raise UnsupportedOp("op einsum")

    assert examine(reference, fake(spoil=spoil)).status == "not_run"


def test_a_reference_that_draws_random_numbers_is_refused(
    fake: Any, contract: Contract, data: RankingData, evaluate: Evaluate
) -> None:
    rng = np.random.default_rng(0)

    def spoil(outputs: dict[str, Any]) -> dict[str, Any]:
        return outputs | {"scores": outputs["scores"] + rng.normal(size=(1, 1)).astype(np.float32)}

    with pytest.raises(ExecutionError, match="'scores': the reference gives other numbers"):
        examine_reference({"main": fake(spoil=spoil)}, contract, [Asked(evaluate=evaluate, data=data)])


def test_latency_is_measured_for_what_ran_and_for_nothing_else(fake: Any, reference: Reference) -> None:
    absent = RuntimeResult(target="coreml", runtime="coreml-framework", status="not_run", reason="no")
    results = [reference.result(), examine(reference, fake()), absent]
    found = with_latency(
        results,
        reference,
        {"onnx": PATHS},
        Latency(warmup=0, runs=10),
        open_with=lambda path, name, threads, function: fake(),
    )
    assert [list(each.latency) for each in found] == [["main"], ["main"], []]
    assert found[1].latency["main"].runs == 10


def test_stress_is_asked_of_what_ran_and_named_where_nothing_could_be(
    fake: Any, contract: Contract, data: RankingData, evaluate: Evaluate
) -> None:
    asked = Stress(rows=4)
    reference = examine_reference(
        {"main": fake(name="pytorch")}, contract, [Asked(evaluate=evaluate, data=data)], stress=asked
    )
    found = examine(reference, fake())
    assert {each.outcome for each in found.stress} == {"same"}

    def spoil(outputs: dict[str, Any]) -> dict[str, Any]:
        raise ExecutionError("no")

    broken = examine(reference, fake(spoil=spoil))
    assert len(broken.stress) == len(found.stress)
    assert {each.outcome for each in broken.stress} == {"not_run"}
    unasked = examine_reference(
        {"main": fake()}, contract, [Asked(evaluate=evaluate, data=data)], stress=Stress(rows=0)
    )
    assert examine(unasked, fake()).stress == ()


def test_stress_that_is_to_leave_out_what_is_no_case_is_refused(
    fake: Any, contract: Contract, data: RankingData, evaluate: Evaluate
) -> None:
    with pytest.raises(RecipeError, match="'nothing' is no case"):
        examine_reference(
            {"main": fake()},
            contract,
            [Asked(evaluate=evaluate, data=data)],
            stress=Stress(leave_out=("nothing",)),
        )
