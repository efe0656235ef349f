"""`pocketrec run` and `inspect` on an ONNX file: arrays in, arrays out, nothing unpickled."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from pocketrec.cli.main import main

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2]) for name in ("x", "scores")
    ]
    weight = numpy_helper.from_array(np.full((1, 2), 3, np.float32), "weight")
    node = helper.make_node("Mul", ["x", "weight"], ["scores"])
    graph = helper.make_graph([node], "g", values[:1], values[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, str(tmp_path / "main.onnx"))
    return tmp_path / "main.onnx"


def test_outputs_are_written(pocketrec: Run, artifact: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", x=np.array([[1, 2]], np.float32))
    done = pocketrec("run", artifact, "--inputs", tmp_path / "in.npz", "--out", tmp_path / "out.npz")
    assert done.returncode == 0, done.stderr
    assert "scores: float32 [1, 2]" in done.stdout
    np.testing.assert_array_equal(np.load(tmp_path / "out.npz")["scores"], [[3, 6]])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": np.zeros((1, 2), np.float32)}, "'y'"),
        ({}, "'x' is missing"),
        ({"x": np.zeros((1, 2), np.int32)}, "'x' is int32; expected float32"),
        ({"x": np.zeros((1, 3), np.float32)}, "'x' has shape (1, 3)"),
        ({"x": np.array([{"a": 1}])}, "is of dtype object; expected plain numbers"),
    ],
)
def test_wrong_inputs_are_named(
    pocketrec: Run, artifact: Path, tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    np.savez(tmp_path / "in.npz", **arrays)  # type: ignore[arg-type]
    done = pocketrec("run", artifact, "--inputs", tmp_path / "in.npz", "--out", tmp_path / "out.npz")
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize("out", ["main.onnx", "in.npz", "folder", "none/out.npz", "in.npz/out.npz"])
def test_what_must_not_be_written_is_a_usage_error(artifact: Path, tmp_path: Path, out: str) -> None:
    """The artifact and its inputs stay as they were, and nothing new is left."""
    (tmp_path / "folder").mkdir()
    np.savez(tmp_path / "in.npz", x=np.zeros((1, 2), np.float32))
    before = {each: each.read_bytes() for each in tmp_path.iterdir() if each.is_file()}
    arguments = ["run", artifact, "--inputs", tmp_path / "in.npz", "--out", tmp_path / out]
    done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exit_code == 2
    assert f"error: {tmp_path / out}: " in done.stderr
    assert "--out" in done.stderr
    assert {each: each.read_bytes() for each in tmp_path.iterdir() if each.is_file()} == before


def test_an_unknown_runtime_names_the_known_ones(pocketrec: Run, artifact: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", x=np.zeros((1, 2), np.float32))
    done = pocketrec(
        "run", artifact, "--inputs", tmp_path / "in.npz", "--out", tmp_path / "o.npz", "--runtime", "tpu"
    )
    assert done.returncode == 2
    assert "'tpu'" in done.stderr
    assert "onnxruntime" in done.stderr


def test_inspect_shows_inputs_outputs_ops_and_bytes(pocketrec: Run, artifact: Path) -> None:
    shown = json.loads(pocketrec("inspect", artifact, "--json").stdout)
    assert [each["name"] for each in shown["inputs"]] == ["x"]
    assert [each["name"] for each in shown["outputs"]] == ["scores"]
    assert shown["op_counts"] == {"Mul": 1}
    assert [(each["name"], each["size_bytes"]) for each in shown["tensors"]] == [("weight", 8)]
    text = pocketrec("inspect", artifact).stdout
    assert "Mul" in text
    assert "weight" in text


def test_a_damaged_artifact_is_one_line(pocketrec: Run, artifact: Path) -> None:
    artifact.write_bytes(b"\xff" * 64)
    done = pocketrec("inspect", artifact)
    assert done.returncode == 1
    assert done.stderr.startswith("error: main.onnx: ")
    assert len(done.stderr.splitlines()) == 1
