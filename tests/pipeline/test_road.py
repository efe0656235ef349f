"""The road: the next way where one fails, a fixed batch where a free one cannot be, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.mean import MODEL, RECIPE, write_mean

import pocketrec
from pocketrec.convert import targets
from pocketrec.convert.capture.capture import Capture
from pocketrec.convert.targets import Write
from pocketrec.errors import RecipeError, Refused
from pocketrec.origin import Told
from pocketrec.pipeline.build import BuildResult
from pocketrec.pipeline.verify import verify
from pocketrec.recipe import Target

Build = Callable[..., BuildResult]
Ways = dict[str, Write]


def build_in(folder: Path, lines: str = "", **words: str) -> BuildResult:
    """Builds the model with lines put into its forward, and words of the recipe replaced."""
    text = f"{RECIPE}[targets.onnx]\n"
    for old, new in (each.split(" => ") for each in words.values()):
        text = text.replace(old, new)
    recipe = write_mean(folder, "", model=MODEL.replace("# HERE", lines), recipe=text)
    return pocketrec.build(recipe, out=folder / "bundle")


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return partial(build_in, tmp_path)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> BuildResult:
    """The model as it is, built once for the tests that only read it."""
    return build_in(tmp_path_factory.mktemp("plain"))


def ways_of(first: Callable[[Path, Write], Told | None]) -> Callable[..., Ways]:
    """The ways of ONNX with another one in front."""
    right = targets.TARGETS["onnx"].ways

    def ways(capture: Capture, target: Target, codes: Any, tables: Any) -> Ways:
        write = right(capture, target, codes, tables)[""]
        return {"": lambda path: first(path, write), "another way": write}

    return ways


def test_a_way_that_cannot_be_written_leaves_the_next_which_is_said(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, write: Write) -> Told | None:
        raise Refused(op="op", where="", reason="no", remedy="none")

    monkeypatch.setitem(
        targets.TARGETS,
        "onnx",
        replace(targets.TARGETS["onnx"], ways=ways_of(refuse)),
    )
    result = build()
    assert result.passed
    assert "onnx: another way" in result.evidence.notes


def test_a_way_that_computes_something_else_leaves_the_next(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(path: Path, write: Write) -> Told | None:
        import onnx

        told = write(path)
        model = onnx.load(path)
        for node in model.graph.node:
            node.op_type = "ReduceMax" if node.op_type == "ReduceMean" else node.op_type
        onnx.save(model, path)
        return told

    monkeypatch.setitem(
        targets.TARGETS,
        "onnx",
        replace(targets.TARGETS["onnx"], ways=ways_of(wrong)),
    )
    result = build()
    assert result.passed
    assert "onnx: another way" in result.evidence.notes
    assert verify(result.path).passed


def test_nothing_of_what_was_tried_stays_in_the_bundle(plain: BuildResult) -> None:
    assert not list(plain.path.rglob(".*"))
    assert sorted(each.name for each in (plain.path / "artifacts").iterdir()) == ["onnx"]


def test_a_loop_over_rows_is_built_with_a_fixed_batch_and_says_why(build: Build) -> None:
    result = build("user = torch.stack([row * 2 for row in user])")
    assert result.passed
    (note,) = [each for each in result.evidence.notes if "the batch is fixed" in each]
    assert note.startswith("onnx: the batch is fixed: ")
    with pocketrec.open(result.path / "artifacts/onnx/main.onnx") as artifact:
        assert artifact.describe().inputs[0].shape == (1, 5)
    assert verify(result.path).passed


def test_an_answer_that_depends_on_earlier_calls_is_refused_by_a_build(build: Build) -> None:
    keeps = "self.seen = user[:1].clone() if self.seen is None else self.seen; user = user + self.seen"
    with pytest.raises(Refused, match=r"Mean: the answer depends on earlier calls"):
        build(keeps)


def test_weights_of_16_bits_are_computed_with_in_float32_and_said(build: Build) -> None:
    result = build(factory="model.py:Mean => model.py:half")
    assert result.passed
    assert "the module's 16-bit weights are computed with in float32" in result.evidence.notes


def test_a_saved_module_is_built_like_its_source(build: Build, plain: BuildResult, tmp_path: Path) -> None:
    space: dict[str, Any] = {}
    exec(MODEL.replace("self.seen = None", ""), space)
    script: Any = torch.jit.trace
    module = space["Mean"]().eval()
    traced = script(module, (torch.randint(1, 30, (2, 5), dtype=torch.int32),), check_trace=False)
    traced.save(str(tmp_path / "model.ts"))
    saved = build(factory="model.py:Mean => model.ts")
    assert plain.passed
    assert saved.passed
    assert saved.evidence.results[0].ranking == plain.evidence.results[0].ranking
    with pytest.raises(RecipeError, match=r"model\.ts' is a saved module, which has its weights"):
        build(factory='model.py:Mean" => model.ts", arguments = {a = 1}')
