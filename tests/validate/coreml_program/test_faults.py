"""What is wrong with an artifact or its inputs ends in one line that names it, and the documented code."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.validate.conftest import MODEL, WEIGHTS

from pocketrec.cli.main import main
from pocketrec.errors import PocketrecError
from pocketrec.validate.coreml_program import CoreMLInterpreter

IDS = {"ids": np.array([0, 5, 11], np.int32)}
Flips = list[tuple[float, int]]
FLIPS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=12)


@pytest.fixture
def run(packages: Path, tmp_path: Path) -> Callable[..., Result]:
    """`pocketrec run` on a copy of the package, changed, with these inputs."""

    def call(inputs: dict[str, np.ndarray], change: Callable[[Path], object] | None = None) -> Result:
        package = Path(shutil.copytree(packages / "float32.mlpackage", tmp_path / "m.mlpackage"))
        if change is not None:
            change(package)
        np.savez(tmp_path / "in.npz", **inputs)  # type: ignore[arg-type]
        options = ["--inputs", str(tmp_path / "in.npz"), "--out", str(tmp_path / "out.npz")]
        return CliRunner().invoke(main, ["run", str(package), *options, "--runtime", "coreml-interpreter"])

    return call


def cut(name: str, size: int) -> Callable[[Path], object]:
    return lambda package: (package / name).write_bytes((package / name).read_bytes()[:size])


def scribble(package: Path) -> None:
    (package / MODEL).write_bytes(b"\xff" * 200)


def test_the_package_runs_when_nothing_is_wrong(run: Callable[..., Result]) -> None:
    assert run(IDS).exit_code == 0


@pytest.mark.parametrize(
    ("inputs", "change", "code", "words"),
    [
        ({"ids": np.array([0, 5, 12], np.int32)}, None, 1, ["op gather (rows)", "12"]),
        ({"ids": np.array([0, 5, -13], np.int32)}, None, 1, ["op gather (rows)", "12"]),
        ({"ids": np.array([0, 5, 11])}, None, 2, ["'ids' is int64", "expected int32"]),
        ({}, None, 2, ["'ids' is missing", "int32 [3]"]),
        ({**IDS, "more": np.zeros(1)}, None, 2, ["'more' is not known", "expected ids"]),
        (IDS, cut(WEIGHTS, 100), 1, ["weight.bin", "100 bytes"]),
        (IDS, cut(WEIGHTS, 0), 1, ["weight.bin"]),
        (IDS, cut(MODEL, 300), 1, ["model.mlmodel"]),
        (IDS, scribble, 1, ["model.mlmodel", "not a Core ML model"]),
    ],
)
def test_a_fault_is_one_line_with_its_exit_code(
    run: Callable[..., Result],
    inputs: dict[str, np.ndarray],
    change: Callable[[Path], object] | None,
    code: int,
    words: list[str],
) -> None:
    """An id outside the table, a wrong dtype, a missing input, a cut file, a broken program."""
    done = run(inputs, change)
    assert done.exit_code == code, done.output
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    for word in words:
        assert word in line


@pytest.fixture(scope="module")
def scratch(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package that is damaged again and again."""
    return Path(
        shutil.copytree(packages / "float16.mlpackage", tmp_path_factory.mktemp("fuzz") / "f.mlpackage")
    )


@given(FLIPS)
@settings(max_examples=150, deadline=None)
def test_any_damage_to_the_program_gives_outputs_or_one_line(scratch: Path, flips: Flips) -> None:
    damage(scratch, MODEL, flips)


@given(FLIPS)
@settings(max_examples=100, deadline=None)
def test_any_damage_to_the_weights_gives_outputs_or_one_line(scratch: Path, flips: Flips) -> None:
    damage(scratch, WEIGHTS, flips)


def damage(package: Path, name: str, flips: Flips) -> None:
    """Writes the flipped file, runs, and puts the whole one back."""
    whole = (package / name).read_bytes()
    content = bytearray(whole)
    for place, byte in flips:
        content[int(place * len(content))] = byte
    faults: list[PocketrecError] = []
    try:
        (package / name).write_bytes(content)
        with CoreMLInterpreter(package) as interpreter:
            interpreter.run(IDS)
    except PocketrecError as error:
        faults.append(error)
    finally:
        (package / name).write_bytes(whole)
    assert all("\n" not in str(each) for each in faults)
