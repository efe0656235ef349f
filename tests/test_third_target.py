"""A third target is a row in the table of targets: here ONNX as text, which an engine of its own runs."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from google.protobuf import text_format
from tests.mean import write_mean

import pocketrec
from pocketrec.convert import targets
from pocketrec.convert.capture.capture import Capture
from pocketrec.convert.targets import Row
from pocketrec.errors import RecipeError
from pocketrec.pipeline.opening import open_artifact, open_graph
from pocketrec.pipeline.verify import verify
from pocketrec.recipe import Compress, Target
from pocketrec.validate.artifact.graph import Graph
from pocketrec.validate.artifact.onnx import read_onnx
from pocketrec.validate.open import Options
from pocketrec.validate.runtimes.onnx_runtime import OnnxRuntime
from pocketrec.validate.runtimes.runtime import Description, Runtime

HERE = "test_third_target_row"


def resolved(name: str, target: Target, compress: Compress) -> Target:
    return replace(target, precision="float32", minimum_deployment_target="iOS17")


def ways(
    capture: Capture, target: Target, codes: object, tables: object
) -> dict[str, Callable[[Path], None]]:
    from pocketrec.convert.onnx.lower import to_onnx

    def write(path: Path) -> None:
        binary = to_onnx(capture, path.with_suffix(".onnx"))
        path.write_text(text_format.MessageToString(onnx.load(binary)))
        binary.unlink()

    return {"": write}


def binary_of(path: Path) -> Path:
    made = Path(tempfile.mkdtemp()) / f"{path.stem}.onnx"
    onnx.save(text_format.Parse(path.read_text(), onnx.ModelProto()), made)
    return made


class TextRuntime(OnnxRuntime):
    def describe(self) -> Description:
        return replace(super().describe(), runtime="text-runtime")


def open_text(path: Path, options: Options) -> Runtime:
    return TextRuntime(binary_of(path), threads=options.threads)


def read_text(path: Path) -> Graph:
    return replace(read_onnx(binary_of(path)), files=(path,))


ROW = Row(
    suffix=".onnxtxt",
    runtimes={"text-runtime": f"{HERE}:open_text"},
    graph=f"{HERE}:read_text",
    resolve=resolved,
    options=frozenset(),
    ways=ways,
    lowered=lambda capture, target: capture.program,
    lowest=lambda tensor: "",
)


@pytest.fixture
def third(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, HERE, sys.modules[__name__])
    monkeypatch.setitem(targets.TARGETS, "text", ROW)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return write_mean(tmp_path, "[targets.text]")


@pytest.mark.usefixtures("third")
def test_a_row_is_enough_to_build_examine_gate_inspect_and_verify(recipe: Path, tmp_path: Path) -> None:
    result = pocketrec.build(recipe, out=tmp_path / "bundle")
    assert result.passed
    ran = {each.target: (each.runtime, each.status) for each in result.evidence.results}
    assert ran["text"] == ("text-runtime", "ran")
    assert {each.gate for each in result.evidence.gates if each.target == "text"} >= {"same_numbers"}
    artifact = result.path / "artifacts" / "text" / "main.onnxtxt"
    assert artifact.read_text().startswith("ir_version")
    with open_artifact(artifact, compute_units="all") as runtime:
        assert [each.name for each in runtime.describe().outputs] == ["scores"]
    assert open_graph(artifact).format == "onnx"
    (size,) = result.evidence.sizes
    assert size.size_bytes == artifact.stat().st_size
    found = verify(result.path)
    assert found.passed
    assert [(each.runtime, each.status) for each in found.replays] == [("text-runtime", "passed")]


@pytest.mark.usefixtures("third")
def test_a_row_whose_artifact_computes_something_else_fails_its_gate(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(capture: Capture, target: Target, codes: object, tables: object) -> object:
        right = ways(capture, target, codes, tables)[""]

        def write(path: Path) -> None:
            right(path)
            path.write_text(path.read_text().replace('op_type: "ReduceMean"', 'op_type: "ReduceMax"'))

        return {"": write}

    monkeypatch.setitem(targets.TARGETS, "text", replace(ROW, ways=wrong))  # type: ignore[arg-type]
    result = pocketrec.build(recipe, out=tmp_path / "bundle")
    assert not result.passed
    failed = {each.gate for each in result.evidence.gates if each.status == "failed"}
    assert "same_numbers" in failed


def test_without_its_row_the_format_is_unknown_and_the_known_ones_are_named(recipe: Path) -> None:
    with pytest.raises(
        RecipeError,
        match=r"targets\.text: 'text' is not a format; add format = 'onnx' or format = 'web' "
        r"or format = 'coreml'",
    ):
        pocketrec.build(recipe)
