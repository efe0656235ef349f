"""Controls find what passes every comparison with what is known beforehand, and nothing in what is honest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketrec.contract import Contract
from pocketrec.evaluation import Asked, RankingData
from pocketrec.recipe import Evaluate, Gates
from pocketrec.report import Control, RuntimeResult
from pocketrec.validate.controls.decoys import check_decoys, quality_trials
from pocketrec.validate.controls.engine import calls_told, pytorch_calls
from pocketrec.validate.controls.follows import follows_inputs
from pocketrec.validate.controls.fresh import fresh_inputs, seed_of
from pocketrec.validate.controls.run import with_controls
from pocketrec.validate.evidence import Reference, examine_reference, examine_target
from pocketrec.validate.gates import check_gates
from pocketrec.validate.measure.ranking import QualityRun

Open = Callable[..., Any]


@pytest.fixture
def reference(fake: Any, contract: Contract, data: RankingData, evaluate: Evaluate) -> Reference:
    return examine_reference({"main": fake(name="pytorch")}, contract, [Asked(evaluate=evaluate, data=data)])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "main.onnx").write_bytes(b"whole" * 10)
    return tmp_path / "main.onnx"


def reading(runtime: Any) -> Open:
    """Opens a runtime where the file is whole."""

    def open_with(path: Path, name: str, **_: Any) -> Any:
        if len(path.read_bytes()) < 50:
            raise ValueError("damaged")
        return runtime

    return open_with


def controls(
    reference: Reference, path: Path, open_with: Open, gates: Gates | None = None
) -> dict[str, Control]:
    gates, paths = gates or Gates(), {"main": path}
    result = examine_target(
        "onnx", "onnxruntime", paths, reference=reference, gates=gates, open_with=open_with
    )
    found = with_controls(result, paths, reference, gates, open_with)
    return {each.gate: each for each in found.controls}


def test_an_honest_artifact_passes_every_control(fake: Any, reference: Reference, path: Path) -> None:
    found = controls(reference, path, reading(fake()))
    assert list(found) == [
        "fresh_inputs",
        "asked_again",
        "follows_inputs",
        "without_pytorch",
        "reads_artifact",
    ]
    assert all(each.passed for each in found.values()), found


def test_an_artifact_that_is_not_read_is_named(fake: Any, reference: Reference, path: Path) -> None:
    found = controls(reference, path, lambda path, name, **_: fake())
    assert not found["reads_artifact"].passed
    assert found["reads_artifact"].message == (
        "main.onnx, cut off in the middle, is answered as the whole one is"
    )


def test_answers_that_a_later_call_changes_are_named(fake: Any, reference: Reference, path: Path) -> None:
    class Shared(fake):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.kept: dict[str, Any] = {}

        def run(self, inputs: Any) -> Any:
            made = super().run(inputs)
            if len(inputs["history"]) > 1:
                return made
            for name, each in made.items():
                self.kept.setdefault(name, each)[...] = each
            return dict(self.kept)

    runtime = Shared()
    honest = fake()
    opened = iter([honest, runtime])
    found = controls(reference, path, lambda path, name, **_: next(opened, honest))
    assert found["asked_again"].message == "main: a later call changes what an earlier one gave"


def test_an_input_that_the_artifact_does_not_follow_is_named(fake: Any, reference: Reference) -> None:
    class Deaf(fake):  # type: ignore[misc]
        def run(self, inputs: Any) -> Any:
            return super().run({**inputs, "age": np.zeros_like(inputs["age"])})

    found = follows_inputs({"main": Deaf()}, reference, seed=3)
    assert not found.passed
    assert found.message.startswith("where age is replaced, main.scores moves by 0, the reference's by ")
    assert "history" not in found.message
    assert follows_inputs({"main": fake()}, reference, seed=3).message == (
        "outputs move with main.history, main.age"
    )


def test_answers_that_are_known_by_heart_are_named(fake: Any, reference: Reference) -> None:
    known = {each.inputs["history"].tobytes() for each in reference.probes["main"]}

    class Stored(fake):  # type: ignore[misc]
        def run(self, inputs: Any) -> Any:
            made = super().run(inputs)
            return made if inputs["history"].tobytes() in known else {**made, "scores": -made["scores"]}

    result = RuntimeResult(target="onnx", runtime="onnxruntime", status="ran", precision="float32")
    found = fresh_inputs({"main": Stored()}, result, reference, Gates(), 7)
    assert not found.passed
    assert found.message.startswith("on inputs drawn after it was written, same_numbers: main.scores: off by")
    assert fresh_inputs({"main": fake()}, result, reference, Gates(), 7).passed


def test_what_failed_already_is_not_controlled(fake: Any, reference: Reference, path: Path) -> None:
    def spoil(outputs: dict[str, Any]) -> dict[str, Any]:
        return {**outputs, "scores": outputs["scores"] * 0}

    assert controls(reference, path, reading(fake(spoil=spoil))) == {}


def test_a_control_that_failed_is_a_gate_that_failed() -> None:
    control = Control(gate="fresh_inputs", passed=False, message="it knows the answers by heart")
    result = RuntimeResult(target="onnx", runtime="onnxruntime", status="ran", controls=(control,))
    assert ("fresh_inputs", "failed", "it knows the answers by heart") in {
        (each.gate, each.status, each.message) for each in check_gates(Gates(), [result])
    }


def test_the_seed_follows_every_byte_and_file_of_an_artifact(tmp_path: Path) -> None:
    path = tmp_path / "main.onnx"
    seeds = set()
    for name, data in (("main.onnx", b"a"), ("main.onnx", b"b"), ("main.onnx.data", b"c")):
        (tmp_path / name).write_bytes(data)
        seeds.add(seed_of([path]))
    (tmp_path / "main.mlpackage").mkdir()
    (tmp_path / "main.mlpackage" / "weights").write_bytes(b"d")
    seeds.add(seed_of([tmp_path / "main.mlpackage"]))
    assert len(seeds) == 4
    assert seed_of([path]) in seeds


def test_what_pytorch_runs_is_named() -> None:
    import torch

    with pytorch_calls() as called:
        torch.add(torch.ones(2), 1)
    assert "aten.add.Tensor" in called
    assert calls_told(called).startswith("it has PyTorch compute its answers (aten.ones.default")
    with pytorch_calls() as called:
        np.ones(2)
    assert calls_told(called) == ""


RANKED = QualityRun(
    metrics={"hr@2": 0.5, "ndcg@2": 0.08}, examples=3, top_k=np.array([[1, 2], [1, 2], [1, 3]])
)
LABELS = QualityRun(
    metrics={"auc": 0.53, "log_loss": 0.66}, examples=4, labels=np.array([0, 1, 0, 1], np.float32)
)
CALIBRATED = QualityRun(
    metrics={"auc": 0.9, "log_loss": 0.1, "ece": 0.005}, examples=10, labels=np.eye(10, dtype=np.float32)[3]
)


@pytest.mark.parametrize(
    ("quality", "gates", "lenient"),
    [
        (RANKED, Gates(), []),
        (RANKED, Gates(max_ndcg_drop=0.08), ["max_ndcg_drop"]),
        (RANKED, Gates(max_ndcg_drop=0.079), []),
        (RANKED, Gates(min_top_k_overlap=0.83), ["min_top_k_overlap"]),
        (RANKED, Gates(min_top_k_overlap=0.84), []),
        (LABELS, Gates(), []),
        (LABELS, Gates(max_auc_drop=0.04), ["max_auc_drop"]),
        (LABELS, Gates(max_log_loss_rise=0.04), ["max_log_loss_rise"]),
        (LABELS, Gates(max_log_loss_rise=0.03), []),
        (CALIBRATED, Gates(max_ece_rise=0.1), ["max_ece_rise"]),
        (CALIBRATED, Gates(max_ece_rise=0.09), []),
    ],
)
def test_limits_that_an_artifact_without_a_clue_holds_are_named(
    quality: QualityRun, gates: Gates, lenient: list[str]
) -> None:
    assert [each.gate for each in quality_trials(gates, quality) if each.passes] == lenient


def verdict(reference: Reference, gates: Gates, precision: str = "float32") -> tuple[str, str]:
    ran = RuntimeResult(target="onnx", runtime="onnxruntime", status="ran", precision=precision)
    (found,) = check_decoys({"": gates}, reference, [reference.result(), ran])
    return found.status, found.message


def test_gates_that_can_fail_pass(reference: Reference) -> None:
    assert verdict(reference, Gates())[0] == "passed"


def test_gates_that_are_all_switched_off_are_none(reference: Reference) -> None:
    off = Gates(min_sqnr_db=None, max_ndcg_drop=None, min_top_k_overlap=None)
    status, message = verdict(reference, off, "float16")
    assert (status, message) == (
        "failed",
        "no gate can fail: one number everywhere for main.scores would pass all",
    )


def test_a_model_of_one_number_is_named(reference: Reference) -> None:
    flat = tuple({**each, "scores": np.full_like(each["scores"], 2)} for each in reference.outputs["main"])
    status, message = verdict(replace(reference, outputs={"main": flat}), Gates())
    assert status == "failed"
    assert message.startswith("the model gives one number everywhere for main.scores")
