"""`pocketrec lint`: findings as text and JSON, the exit code, and every artifact of a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from pocketrec.cli.main import main
from pocketrec.errors import UsageError
from pocketrec.package.bundle import seal
from pocketrec.validate.lint import RULES


def artifact(path: Path, dtype: int) -> Path:
    """A lookup of ids, unchecked and cast to `dtype`, in a table of 300 rows; its output has a drawn name."""
    nodes = [
        helper.make_node("Cast", ["ids"], ["cast"], to=dtype),
        helper.make_node("Cast", ["cast"], ["wide"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "wide"], ["add_1"], name="lookup"),
    ]
    values = [
        helper.make_tensor_value_info("ids", TensorProto.INT64, [2]),
        helper.make_tensor_value_info("add_1", TensorProto.FLOAT, [2, 4]),
    ]
    table = numpy_helper.from_array(np.zeros((300, 4), np.float32), "table")
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [table])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["lint", *map(str, arguments)])
    return done.exit_code, done.stdout


def test_an_error_is_shown_with_consequence_and_remedy_and_exits_with_1(tmp_path: Path) -> None:
    path = artifact(tmp_path / "m.onnx", TensorProto.INT8)
    code, text = run(path)
    assert code == 1
    assert text.splitlines()[:5] == [
        str(path),
        "  error    narrow-gather-indices  lookup",
        "           int8 indices (cast), which end at 127, into 300 rows",
        "           so: ids beyond the dtype's end read other rows of the table",
        f"           do: {RULES['narrow-gather-indices'].remedy}",
    ]
    assert text.splitlines()[-1] == "1 error, 2 warnings, 0 notes"


def test_warnings_exit_with_0(tmp_path: Path) -> None:
    code, text = run(artifact(tmp_path / "m.onnx", TensorProto.INT32))
    assert (code, text.splitlines()[-1]) == (0, "0 errors, 2 warnings, 0 notes")


@pytest.mark.parametrize("severity", ["error", "warning"])
def test_severity_hides_what_is_milder_and_keeps_the_exit_code(tmp_path: Path, severity: str) -> None:
    path = artifact(tmp_path / "m.onnx", TensorProto.INT8)
    code, text = run(path, "--severity", severity)
    assert code == 1
    assert ("unnamed-output" in text) == (severity == "warning")
    assert text.splitlines()[-1] == "1 error, 2 warnings, 0 notes"


def test_json_holds_every_field(tmp_path: Path) -> None:
    path = artifact(tmp_path / "m.onnx", TensorProto.INT8)
    code, text = run(path, "--json", "--severity", "error")
    given = json.loads(text)
    assert (code, given["passed"], given["counts"]) == (1, False, {"error": 1, "warning": 2, "note": 0})
    (finding,) = given["artifacts"][str(path)]
    assert set(finding) == {"rule", "severity", "place", "message", "consequence", "remedy"}


def test_for_the_web_a_file_is_asked_what_a_browser_runs(tmp_path: Path) -> None:
    path = artifact(tmp_path / "m.onnx", TensorProto.INT16)
    code, text = run(path, "--for", "web")
    assert code == 1
    assert "no kernel for Cast of int16 in ort.webgpu.min.mjs" in text
    assert "web-no-kernel" not in run(path)[1]


def test_for_the_web_a_bundles_artifacts_for_it_are_read_and_no_others(tmp_path: Path) -> None:
    names = {each: f"artifacts/{each}/main.onnx" for each in ("onnx", "page")}
    for each in names.values():
        artifact(tmp_path / each, TensorProto.INT32)
    targets = {"onnx": {"format": None}, "page": {"format": "web"}}
    (tmp_path / "recipe.json").write_text(json.dumps({"targets": targets}))
    artifacts = {target: {"main": path} for target, path in names.items()}
    seal(tmp_path, name="example", version="1", artifacts=artifacts)
    code, text = run(tmp_path, "--for", "web", "--json")
    assert code == 0
    assert [Path(each).parent.name for each in json.loads(text)["artifacts"]] == ["page"]
    (tmp_path / "recipe.json").write_text(json.dumps({"targets": {"onnx": {}, "page": {"format": "onnx"}}}))
    done = CliRunner().invoke(main, ["lint", str(tmp_path), "--for", "web"])
    assert isinstance(done.exception, UsageError | SystemExit)
    assert done.exit_code != 0


def test_every_artifact_of_a_bundle_is_read(tmp_path: Path) -> None:
    names = {"good": "artifacts/good/main.onnx", "bad": "artifacts/bad/main.onnx"}
    artifact(tmp_path / names["good"], TensorProto.INT32)
    artifact(tmp_path / names["bad"], TensorProto.INT8)
    artifacts = {target: {"main": path} for target, path in names.items()}
    seal(tmp_path, name="example", version="1", artifacts=artifacts)
    code, text = run(tmp_path, "--json")
    assert code == 1
    errors = {
        name.rpartition("artifacts/")[2]: [each["rule"] for each in found if each["severity"] == "error"]
        for name, found in json.loads(text)["artifacts"].items()
    }
    assert errors == {"good/main.onnx": [], "bad/main.onnx": ["narrow-gather-indices"]}
