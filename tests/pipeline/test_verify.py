"""Verification replays golden vectors on real runtimes, and never passes what it did not compare."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tests.mean import write_mean

import pocketrec
from pocketrec.contract import Contract, Dim, Feature, Output, Signature
from pocketrec.convert.targets import TARGETS
from pocketrec.package.bundle import publish, read_bundle, seal, staging
from pocketrec.package.golden import Vector, write_golden
from pocketrec.package.parts import left_out, write_part
from pocketrec.pipeline.agreement import contract_sha256
from pocketrec.pipeline.judged import judged
from pocketrec.pipeline.verify import verify
from pocketrec.recipe import Gates
from pocketrec.report import MetricChange, RankingParity, RuntimeResult
from pocketrec.validate.open import RuntimeStatus

CONTRACT = Contract(
    functions={
        "main": Signature(
            inputs=(Feature(name="x", kind="dense", dtype="float32", shape=("batch", 2)),),
            outputs=(Output(name="scores", meaning="score", shape=("batch", 2)),),
        )
    },
    dims={"batch": Dim(max=4)},
)
X = np.array([[1.0, 2.0]], dtype=np.float32)


def write_onnx(path: Path) -> None:
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2]) for name in ("x", "scores")
    ]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["scores"])], "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    path.parent.mkdir(parents=True)
    onnx.save(model, str(path))


GATE = {
    "gate": "max_abs_error",
    "target": "onnx",
    "runtime": "onnxruntime",
    "status": "passed",
    "message": "",
}
PARITY = {
    **{"function": "main", "output": "scores", "probes": 1, "elements": 2, "cosine": 1.0, "sqnr_db": "inf"},
    **{"max_abs_error": 0.0, "max_rel_error": 0.0, "histogram": [2]},
}
RESULT = {
    **{"target": "onnx", "runtime": "onnxruntime", "status": "ran", "precision": "float32"},
    "parity": [PARITY],
}


def write_statements(
    place: Path, *, form: str = "onnx", limits: Mapping[str, object] | None = None, **evidence: object
) -> None:
    recipe = {
        **{"name": "double", "version": "1", "targets": {"onnx": {"format": form}}},
        "gates": limits or {},
    }
    (place / "recipe.json").write_text(json.dumps(recipe))
    said = {
        "recipe": "double",
        "contract_sha256": CONTRACT.sha256(),
        "gates": [GATE],
        "results": [RESULT],
        **evidence,
    }
    (place / "evidence").mkdir(exist_ok=True)
    (place / "evidence/evidence.json").write_text(json.dumps(said))


def make(
    folder: Path,
    *,
    expected: Mapping[str, np.ndarray] | None = None,
    tolerance: float = 1e-6,
    vectors: bool = True,
    artifact: str = "artifacts/onnx/main.onnx",
    form: str = "onnx",
    targets: Mapping[str, object] | None = None,
    gates: Mapping[str, object] | None = None,
) -> Path:
    outputs = {"scores": 2 * X} if expected is None else expected
    golden = (Vector(name="one user", inputs={"x": X}, outputs=outputs),) if vectors else ()
    with staging(folder) as place:
        write_onnx(place / artifact)
        table = CONTRACT.to_dict() | ({} if targets is None else {"targets": targets})
        (place / "contract.json").write_text(json.dumps(table))
        write_golden(place, {"main": golden}, {"onnx": {"main": {"scores": tolerance}}})
        write_statements(place, form=form, limits=gates)
        seal(place, name="double", version="1", artifacts={"onnx": {"main": artifact}})
        return publish(place, folder)


def test_a_good_bundle_passes_on_the_runtime_that_is_here(tmp_path: Path) -> None:
    result = verify(make(tmp_path / "b"))
    assert result.passed
    (replayed,) = result.replays
    assert (replayed.runtime, replayed.status, replayed.vectors) == ("onnxruntime", "passed", 1)


def test_an_artifact_runs_on_the_engines_of_its_targets_own_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two formats share a suffix, and the one that the recipe states decides; a third is a contradiction."""
    engines = {"onnxruntime": "pocketrec.validate.open:open_onnx", "nowhere": "none:none"}
    monkeypatch.setitem(TARGETS, "web", replace(TARGETS["web"], runtimes=engines))
    statuses = [RuntimeStatus(name="nowhere", available=False, reason="no such engine")]
    monkeypatch.setattr("pocketrec.validate.open.available_runtimes", lambda: statuses)
    for form, expected in (("onnx", ["onnxruntime"]), ("web", ["onnxruntime", "nowhere"])):
        bundle = make(tmp_path / form, form=form)
        result = verify(bundle)
        assert result.passed
        assert [each.runtime for each in result.replays] == expected
    contradicted = verify(make(tmp_path / "other", form="coreml"))
    assert any("is onnx or web" in each and "as 'coreml'" in each for each in contradicted.problems)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        (
            2 * X + np.float32(0.25),
            "main.scores on 'one user': differs by 0.25, allowed 1e-06",
        ),
        (np.full_like(X, np.nan), "main.scores on 'one user': "),
        (np.zeros((1, 3), np.float32), "main.scores on 'one user': "),
    ],
)
def test_a_vector_that_differs_fails_and_says_how_far(
    tmp_path: Path, expected: np.ndarray, message: str
) -> None:
    result = verify(make(tmp_path / "b", expected={"scores": expected}))
    assert not result.passed
    assert message in result.replays[0].message


def test_within_what_the_gates_allow_passes_and_a_wide_bound_in_golden_json_alone_is_no_leave(
    tmp_path: Path,
) -> None:
    near = {"scores": 2 * X + np.float32(0.25)}
    stated = {"max_abs_error": 0.3}
    assert verify(make(tmp_path / "b", expected=near, tolerance=0.3, gates=stated)).passed
    widened = verify(make(tmp_path / "c", expected=near, tolerance=0.3))
    assert widened.replays[0].outcome == "wrong_answer"
    assert "main.scores: off by 0.25, 575 times what counts as the same numbers" in widened.replays[0].message


def test_no_runtime_is_not_run_and_does_not_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = [
        RuntimeStatus(
            name="onnxruntime", available=False, reason="not installed; run: pip install onnxruntime"
        )
    ]
    monkeypatch.setattr("pocketrec.validate.open.available_runtimes", lambda: absent)
    result = verify(make(tmp_path / "b"))
    assert not result.passed
    assert result.replays[0].status == "not_run"
    assert result.problems == ("onnx/main: no runtime for it on this machine, nothing was compared",)


def test_no_vectors_do_not_pass(tmp_path: Path) -> None:
    result = verify(make(tmp_path / "b", vectors=False))
    assert not result.passed
    assert result.problems == ("golden/main.safetensors: holds no golden vector, so nothing can be compared",)


def test_a_vector_without_an_output_does_not_pass(tmp_path: Path) -> None:
    result = verify(make(tmp_path / "b", expected={}))
    assert result.problems == (
        "golden/main.safetensors: vector 'one user' has outputs []; the contract has ['scores']",
    )


def test_an_artifact_of_another_format_does_not_pass(tmp_path: Path) -> None:
    result = verify(make(tmp_path / "b", artifact="artifacts/onnx/main.tflite"))
    assert result.problems == ("main.tflite: expected .onnx or .mlpackage",)


def test_a_damaged_bundle_is_not_replayed(tmp_path: Path) -> None:
    bundle = make(tmp_path / "b")
    with (bundle / "artifacts/onnx/main.onnx").open("ab") as file:
        file.write(b"x")
    result = verify(bundle)
    assert result.replays == ()
    assert result.problems[0].startswith("artifacts/onnx/main.onnx: altered")


def run_without_torch(*arguments: object) -> subprocess.CompletedProcess[str]:
    code = "import sys; sys.modules['torch'] = None; from pocketrec.cli.main import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_works_without_torch(tmp_path: Path) -> None:
    done = run_without_torch("verify", make(tmp_path / "b"))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "passed"), done.stderr


def test_the_command_names_the_file_and_exits_with_1(tmp_path: Path) -> None:
    bundle = make(tmp_path / "b")
    (bundle / "contract.json").write_text("{}")
    done = run_without_torch("verify", bundle, "--json")
    assert done.returncode == 1
    assert "failed: contract.json: altered" in done.stderr
    assert json.loads(done.stdout)["passed"] is False


def test_a_build_without_torch_names_the_extra(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text("schema = 1")
    done = run_without_torch("build", tmp_path / "recipe.toml")
    assert done.returncode == 2


def resealed(bundle: Path, name: str, text: str) -> Path:
    """The bundle with a file of other content, and digests that fit it."""
    (bundle / name).write_text(text)
    seal(bundle, name="double", version="1", artifacts={"onnx": {"main": "artifacts/onnx/main.onnx"}})
    return bundle


FAILED = {**GATE, "status": "failed", "message": "scores: differs by 0.5"}
RECIPE = {"name": "double", "version": "1", "targets": {"onnx": {"format": "onnx"}}}
SAID = {
    "recipe": "double",
    "contract_sha256": CONTRACT.sha256(),
    "gates": [GATE],
    "results": [RESULT],
}
FAR = {**PARITY, "max_abs_error": 0.5, "excess": 12.5, "worst_probe": "a user"}
PASSED = {**GATE, "gate": "comparison"}
CASE = {"function": "main", "kind": "ids", "name": "item = 2", "outcome": "same", "excess": 3.0}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "evidence/evidence.json",
            {**SAID, "gates": [GATE, FAILED]},
            "gate max_abs_error of onnx on onnxruntime f",
        ),
        ("evidence/evidence.json", {**SAID, "gates": []}, "no gate passed, so nothing was proved"),
        ("evidence/evidence.json", {**SAID, "gates": "all"}, "holds no list of gates"),
        ("evidence/evidence.json", {**SAID, "contract_sha256": "0" * 64}, "is of another contract"),
        ("evidence/evidence.json", {**SAID, "recipe": "triple"}, "is of 'triple'"),
        ("evidence/evidence.json", [], "evidence/evidence.json: is no table"),
        (
            "evidence/evidence.json",
            {**SAID, "results": [{**RESULT, "parity": [FAR]}]},
            "its own numbers fail gate same_numbers of onnx on onnxruntime: main.scores: off by 0.5, 12.5",
        ),
        (
            "evidence/evidence.json",
            {**SAID, "results": [{**RESULT, "stress": [CASE]}]},
            "its own numbers fail gate stress of onnx on onnxruntime: 1 of 1 cases: main, ids: item = 2",
        ),
        (
            "evidence/evidence.json",
            {**SAID, "results": [], "gates": [PASSED]},
            "gate comparison of onnx on onnxruntime passed, and no result says that it ran",
        ),
        ("evidence/evidence.json", {**SAID, "results": "all"}, "results is 'all'; expected a list"),
        ("evidence/evidence.json", {**SAID, "tree_sha256": "0" * 64}, "is of other files than manifest.json"),
        ("recipe.json", {**RECIPE, "version": "2"}, "recipe.json: version is '2'; manifest.json has '1'"),
        ("recipe.json", {**RECIPE, "targets": {"onnx": {"format": "coreml"}}}, "has target onnx as 'coreml'"),
        ("recipe.json", {**RECIPE, "targets": {}}, "has target onnx as None"),
    ],
)
def test_files_that_contradict_each_other_do_not_pass(
    tmp_path: Path, name: str, content: object, message: str
) -> None:
    result = verify(resealed(make(tmp_path / "b"), name, json.dumps(content)))
    assert not result.passed
    assert any(message in each for each in result.problems), result.problems


@pytest.mark.parametrize("name", ["recipe.json", "evidence/evidence.json"])
def test_statements_that_do_not_parse_or_are_missing_do_not_pass(tmp_path: Path, name: str) -> None:
    bundle = resealed(make(tmp_path / "b"), name, "{")
    assert any(f"{name}: not valid JSON" in each for each in verify(bundle).problems)
    (bundle / name).unlink()
    seal(bundle, name="double", version="1", artifacts={"onnx": {"main": "artifacts/onnx/main.onnx"}})
    assert any(each.startswith(f"{name}: not in manifest.json") for each in verify(bundle).problems)


@pytest.mark.parametrize("bound", ["Infinity", "1e999", "-1", "1" + "0" * 400])
def test_a_tolerance_that_is_no_bound_does_not_pass(tmp_path: Path, bound: str) -> None:
    index = (
        f'{{"schema": 1, "functions": ["main"], "tolerances": {{"onnx": {{"main": {{"scores": {bound}}}}}}}}}'
    )
    result = verify(resealed(make(tmp_path / "b"), "golden/golden.json", index))
    assert not result.passed
    assert "golden/golden.json: tolerances.onnx.main.scores" in result.problems[0]


def test_an_artifact_of_another_contract_does_not_pass(tmp_path: Path) -> None:
    bundle = make(tmp_path / "b")
    path = bundle / "artifacts/onnx/main.onnx"
    model = onnx.load(str(path))
    model.metadata_props.add(key="pocketrec.contract_sha256", value="0" * 64)
    onnx.save(model, str(path))
    seal(bundle, name="double", version="1", artifacts={"onnx": {"main": "artifacts/onnx/main.onnx"}})
    result = verify(bundle)
    assert "carries the digest of another contract" in result.replays[0].message


SHAPES = {"x": ["batch", 2], "scores": ["batch", 2]}


def test_shapes_that_are_stated_beside_the_contract_change_no_digest(tmp_path: Path) -> None:
    bundle = make(tmp_path / "b", targets={"onnx": {"main": SHAPES}})
    assert verify(bundle).passed
    assert contract_sha256(read_bundle(bundle)) == CONTRACT.sha256()


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (
            {"onnx": {"main": {**SHAPES, "x": [1, 2]}}},
            "main.onnx: x has shape [batch, 2]; contract.json states [1, 2]; build the bundle again",
        ),
        ({"onnx": {"main": {"x": ["batch", 2]}}}, "scores has shape [batch, 2]; contract.json states none"),
        ({"onnx": {"main": {**SHAPES, "y": [1]}}}, "y has shape none; contract.json states [1]"),
        ({"coreml": {"main": SHAPES}}, "contract.json states no shapes of onnx/main"),
        ({"onnx": {"other": SHAPES}}, "contract.json states no shapes of onnx/main"),
    ],
)
def test_shapes_that_the_artifact_has_not_are_named(
    targets: Mapping[str, object], message: str, tmp_path: Path
) -> None:
    result = verify(make(tmp_path / "b", targets=targets))
    assert not result.passed
    assert message in result.replays[0].message


def test_targets_that_are_no_shapes_are_a_problem(tmp_path: Path) -> None:
    result = verify(make(tmp_path / "b", targets={"onnx": {"main": {"x": [1.5]}}}))
    assert not result.passed
    assert "contract.json: targets.onnx.main.x[0] is 1.5; expected" in result.problems[0]


def test_golden_numbers_that_are_others_in_words_are_a_problem(tmp_path: Path) -> None:
    path = make(tmp_path / "b")
    words = "golden/main.vectors.json"
    text = (path / words).read_text()
    assert '"data": [2.0,4.0]' in text
    result = verify(resealed(path, words, text.replace("[2.0,4.0]", "[2.0,4.5]")))
    assert not result.passed
    assert result.problems[0].startswith(f"{words}: one user, outputs, scores: other numbers")


def test_stress_that_a_recipe_asks_for_and_no_result_has_is_no_pass() -> None:
    change = MetricChange(metric="hr@10", before=0.1, after=0.1)
    ranking = RankingParity(examples=20, reference={}, artifact={}, changes=(change,))
    ran = RuntimeResult(target="onnx", runtime="onnxruntime", status="ran", ranking=ranking)
    for stressed, found in ((True, {"failed"}), (False, set())):
        gates = judged(Gates(), (ran,), stressed=stressed)
        assert {each.status for each in gates if each.gate == "stress"} == found


def test_a_part_states_shapes_of_the_whole(tmp_path: Path) -> None:
    """Its contract is that of the whole, so shapes of a target that was left out are no contradiction."""
    recipe = write_mean(tmp_path, '[targets.onnx]\n[targets.second]\nformat = "onnx"\n')
    part = pocketrec.build(recipe, out=tmp_path / "mean").path
    bundle = read_bundle(part)
    assert {"onnx", "second"} <= json.loads((part / "contract.json").read_text())["targets"].keys()
    for each in left_out(bundle.manifest, bundle.evidence, ["onnx"]):
        (part / each).unlink()
    write_part(part, ["onnx"])
    result = verify(part)
    assert result.problems == ()
    assert result.passed
