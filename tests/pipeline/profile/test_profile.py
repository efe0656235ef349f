"""An artifact is profiled from its bundle, a file or its shapes; what does not fit is one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from tests.mean import write_mean
from tests.validate.profile.fake_core_ml import VERSION, FakeMLModel, make_mac

import pocketrec
from pocketrec.cli.main import main
from pocketrec.cli.profile import _show as show
from pocketrec.errors import ArtifactError, UsageError
from pocketrec.package.bundle import read_bundle
from pocketrec.package.origins import ORIGINS
from pocketrec.package.parts import write_part
from pocketrec.pipeline.profile.page import to_html
from pocketrec.pipeline.profile.profile import Options, Profile, profile
from pocketrec.pipeline.profile.turns import release_turns
from pocketrec.validate.profile.child import answer
from pocketrec.validate.profile.lines import UNKNOWN
from pocketrec.validate.runtimes.runtime import REHEARSED


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("profiled")
    built = pocketrec.build(write_mean(folder, "[targets.onnx]\n[targets.coreml]\n"), out=folder / "mean")
    assert built.passed
    return built.path


def run(path: Path, against: Path | None = None, **options: Any) -> Profile:
    return profile(path, Options(runs=8, **options), against=against, measure=answer)


@pytest.mark.parametrize("target", ["onnx", "coreml"])
def test_a_bundles_artifact_is_called_on_its_golden_vectors(bundle: Path, target: str) -> None:
    found = run(bundle, target=target)
    assert found.side.inputs.startswith("the golden vectors of mean 1.0, ")
    assert "history [1, 5] in turn" in found.side.inputs
    assert (found.side.target, found.side.function) == (target, "main")
    assert found.side.pretended == ("the interpreter" if target == "coreml" else "")
    assert found.side.measured.latency.calls == 8
    assert sum(row.ms or 0 for row in found.lines) == pytest.approx(sum(each.ms for each in found.ops.ops))
    assert sum(row.operations or 0 for row in found.lines) == found.cost.operations
    assert {row.source for row in found.lines} & {f"model.py:{line}" for line in range(10, 20)}
    assert found.cost.uncounted == ()
    assert (found.units, found.against, found.turns) == ((), None, None)
    assert bool(found.rules) == (target == "coreml")


def test_the_products_operations_are_counted(bundle: Path) -> None:
    """One user of 8 numbers with 30 items: 2 · 8 · 30."""
    found = run(bundle, target="onnx")
    (product,) = (each for each in found.cost.ops if each.type in ("MatMul", "Gemm"))
    assert product.operations == 2 * 8 * 30


def test_an_artifact_in_a_bundle_knows_its_bundle(bundle: Path) -> None:
    found = run(bundle / "artifacts" / "onnx" / "main.onnx")
    assert found.side.inputs.startswith("the golden vectors of mean")
    assert found.side.target == "onnx"


def alone(bundle: Path, folder: Path) -> Path:
    copy = folder / "alone.onnx"
    copy.write_bytes((bundle / "artifacts" / "onnx" / "main.onnx").read_bytes())
    return copy


def test_a_lone_artifact_is_called_on_what_its_tables_allow(bundle: Path, tmp_path: Path) -> None:
    found = run(alone(bundle, tmp_path))
    expected = "no data: drawn from the artifact's shapes, ids evenly (history below 30), seed 0"
    assert found.side.inputs == expected
    assert found.side.target == ""


def test_a_lone_artifact_says_in_one_line_that_no_line_is_known(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(bundle, target="onnx").side.unknown == ""
    found = run(alone(bundle, tmp_path))
    said = (
        "alone.onnx carries no origins of its tensors: it is in no bundle, whose evidence/origins.json would "
        "tell it"
    )
    assert found.side.unknown == said
    assert {row.source for row in found.lines} == {UNKNOWN}
    show(found)
    assert f"lines    {said}\n" in capsys.readouterr().out
    assert f"No line is known: {said}." in to_html(found)


def test_damaged_origins_are_an_error_and_those_of_a_part_are_left_out(bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    (copy / ORIGINS).write_text("{}")
    with pytest.raises(ArtifactError, match=r"^evidence/origins\.json: altered"):
        run(copy, target="onnx")
    write_part(copy, ["onnx"])
    found = run(copy, target="onnx")
    assert found.side.unknown.endswith("leaves evidence/origins.json out; pull it without --only")


def test_evaluation_data_of_a_recipe_are_rows(bundle: Path, tmp_path: Path) -> None:
    found = run(alone(bundle, tmp_path), source=bundle.parent / "recipe.toml")
    assert found.side.inputs == "the evaluation data of recipe.toml, 64 calls of history [1, 5] in turn"


def test_a_file_of_inputs_is_one_call(bundle: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", history=np.ones((3, 5), np.int32))
    found = run(alone(bundle, tmp_path), inputs=tmp_path / "in.npz")
    assert found.side.inputs == "in.npz, one call"
    assert [each.operations for each in found.cost.ops if each.type in ("MatMul", "Gemm")] == [3 * 2 * 8 * 30]


def test_two_take_turns(bundle: Path, tmp_path: Path) -> None:
    found = run(bundle, target="onnx", against=bundle)
    assert found.turns is not None
    assert found.against is not None
    assert (found.turns.base, found.against.target) == ("other", "onnx")
    assert found.turns.ratios["this"].pairs == 4
    assert "against the other" in to_html(found)


def test_releases_take_turns_on_the_later_ones_rows(bundle: Path) -> None:
    held = read_bundle(bundle)
    found = release_turns(held, held, target="onnx", function="main", runs=8, warmup=0, measure=answer)
    assert found.inputs["old"] == found.inputs["new"]
    assert (found.runtime, list(found.turns.ratios), found.turns.ratios["new"].pairs) == (
        "onnxruntime",
        ["new"],
        4,
    )
    with pytest.raises(UsageError, match="'web' is no target"):
        release_turns(held, held, target="web", function="main")


def command(*arguments: Any) -> Result:
    return CliRunner().invoke(main, ["profile", *map(str, arguments)])


def test_the_command_says_all_of_it_in_json_and_writes_a_page(bundle: Path, tmp_path: Path) -> None:
    """Once with a process of its own."""
    page = tmp_path / "page.html"
    done = command(bundle, "--target", "onnx", "--runs", 8, "--json", "--html", page)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["schema"] == 1
    assert found["side"]["measured"]["runtime"] == "onnxruntime"
    assert found["cost"]["operations"] == sum(each["operations"] for each in found["cost"]["ops"])
    text = page.read_text()
    assert text.startswith("<!doctype html>") or text.startswith("<!DOCTYPE html>")
    assert "model.py:" in text
    assert "<svg" in text


def test_the_text_names_the_interpreter_and_the_rules(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(bundle, target="coreml")
    show(found)
    text = capsys.readouterr().out
    for each in (text, to_html(found)):
        assert "nterpreter plays Core ML here" in each
        assert "say nothing of a device" in each
        assert "https://github.com/hollance/neural-engine" in each
    assert "not measured" in text
    assert "95% interval" in text
    assert "? (too few calls)" in text


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeMLModel]]:
    yield from make_mac(monkeypatch)


def test_on_a_mac_every_unit_is_asked_and_the_fake_says_that_it_is_one(
    bundle: Path, mac: type[FakeMLModel], capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(bundle, target="coreml")
    assert [each.compute_units for each in found.units] == [
        "all",
        "cpu_only",
        "cpu_and_gpu",
        "cpu_and_neural_engine",
    ]
    assert found.side.measured.runtime == "coreml-framework"
    assert (found.side.measured.version, found.side.pretended) == (
        f"macOS {VERSION} ({REHEARSED} Linux, no device)",
        "",
    )
    assert found.ops.reason == "coreml-framework does not tell what its ops take"
    show(found)
    text = capsys.readouterr().out
    for each in (text, to_html(found)):
        assert VERSION in each
        assert "MLModelBenchmarker" in each
        assert "cpu_only leaves it out" in each
    one = run(bundle, target="coreml", compute_units="cpu_only")
    assert [each.compute_units for each in one.units] == ["cpu_only"]
    assert one.side.measured.compute_units == "allowed: cpu_only"


Change = Callable[[Path, Path], list[object]]
WRONG: Mapping[str, tuple[Change, int, str]] = {
    "nothing there": (lambda b, t: [t / "no.onnx"], 2, "no such file or folder"),
    "no model": (lambda b, t: [written(t / "a.txt")], 2, "expected a bundle, or an artifact that ends in"),
    "damaged": (lambda b, t: [written(t / "a.onnx")], 1, "a.onnx: "),
    "several targets": (lambda b, t: [b], 2, "holds several, coreml, onnx; pass --target"),
    "no such target": (lambda b, t: [b, "--target", "web"], 2, "'web' is no target"),
    "no such function": (
        lambda b, t: [b, "--target", "onnx", "--function", "user"],
        2,
        "'user' is no function",
    ),
    "another function": (
        lambda b, t: [alone(b, t), "--function", "user"],
        2,
        "alone.onnx: no function 'user'; expected main, the only one it holds",
    ),
    "a target of an artifact": (
        lambda b, t: [alone(b, t), "--target", "onnx"],
        2,
        "--target names one of a bundle",
    ),
    "another engine": (lambda b, t: [alone(b, t), "--runtime", "coreml-interpreter"], 2, "cannot load .onnx"),
    "units of none": (lambda b, t: [alone(b, t), "--compute-units", "all"], 2, "which has no compute units"),
    "two sources": (lambda b, t: [alone(b, t), "--from", b, "--inputs", t / "in.npz"], 2, "pass one of them"),
    "no bundle": (lambda b, t: [alone(b, t), "--from", t / "no"], 2, "no such folder"),
    "inputs that do not fit": (
        lambda b, t: [alone(b, t), "--inputs", saved(t)],
        2,
        "input 'history' is float32",
    ),
    "inputs that are none": (lambda b, t: [alone(b, t), "--inputs", written(t / "in.npz")], 2, "in.npz: "),
    "a page in what is read": (
        lambda b, t: [b, "--target", "onnx", "--html", b / "page.html"],
        2,
        "lies in it, which is read",
    ),
    "a page nowhere": (lambda b, t: [alone(b, t), "--html", t / "no" / "a.html"], 2, "there is no folder"),
    "a time that is no number": (
        lambda b, t: [alone(b, t), "--timeout", "nan"],
        2,
        "nan is no finite number",
    ),
    "no calls": (lambda b, t: [alone(b, t), "--runs", "1"], 2, "--runs"),
}


def written(path: Path) -> Path:
    path.write_text("what is no model")
    return path


def saved(folder: Path) -> Path:
    np.savez(folder / "in.npz", history=np.ones((1, 5), np.float32))
    return folder / "in.npz"


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_profiled_is_one_line(bundle: Path, tmp_path: Path, name: str) -> None:
    arguments, code, message = WRONG[name]
    done = command(*arguments(bundle, tmp_path))
    assert (done.exit_code, done.stdout) == (code, "")
    (line,) = [each for each in done.stderr.splitlines() if "rror: " in each]
    assert message in line


def test_inputs_that_would_run_code_are_refused(bundle: Path, tmp_path: Path) -> None:
    """An array of objects is a pickle."""
    np.savez(tmp_path / "in.npz", history=np.array([print], object))
    done = command(alone(bundle, tmp_path), "--inputs", tmp_path / "in.npz")
    assert done.exit_code == 2
    assert "history" in done.stderr
