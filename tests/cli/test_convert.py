"""`pocketrec convert` says what is wrong in the words of its own options, not in those of a recipe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pocketrec.cli.main import main

MODEL = """
from torch import nn

def make(width=2):
    return nn.Linear(2, width)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "model.py").write_text(MODEL)
    np.savez(tmp_path / "in.npz", input=np.ones((2, 2), np.float32))
    np.savez(tmp_path / "big.npz", input=np.ones((2, 2), ">f8").astype(">f16"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--weights", "none.pt"], "--weights: {folder}/none.pt is no file; correct the path"),
        (["--weights", "."], "--weights: {folder} is a folder without <tensor>.npy files"),
        (["--argument", "wdth=3"], "it takes width, so correct --argument"),
    ],
)
def test_a_mistake_is_told_by_the_option_that_made_it(folder: Path, options: list[str], message: str) -> None:
    done = CliRunner().invoke(main, ["convert", "model.py:make", "--example", "in.npz", *options])
    assert done.exit_code == 2
    assert message.format(folder=folder) in done.stderr
    assert "model.weights" not in done.stderr
    assert "model.arguments" not in done.stderr


def test_numbers_that_pytorch_has_not_are_named(folder: Path) -> None:
    done = CliRunner().invoke(main, ["convert", "model.py:make", "--example", "big.npz"])
    assert done.exit_code == 2
    assert "big.npz: input is of dtype >f16; expected numbers or booleans" in done.stderr


def test_what_the_maker_says_is_in_the_package_and_inspect_prints_it(folder: Path) -> None:
    said = ["--about", "author=A. Person", "--about", "description=Doubles = or nothing."]
    options = ["convert", "model.py:make", "--example", "in.npz", "--target", "coreml", *said]
    assert CliRunner().invoke(main, options).exit_code == 0
    shown = CliRunner().invoke(main, ["inspect", "converted/model.mlpackage"]).stdout
    assert "author      A. Person\n" in shown
    assert "description Doubles = or nothing. Function main takes input and gives output.\n" in shown
    assert "\ninput: Numbers, float32. Shape " in shown
    assert "license" not in shown


@pytest.mark.parametrize("given", ["autor=me", "author", "=me"])
def test_what_cannot_be_said_is_named(folder: Path, given: str) -> None:
    options = ["convert", "model.py:make", "--example", "in.npz", "--about", given]
    done = CliRunner().invoke(main, options)
    assert done.exit_code == 2
    assert (
        f"--about {given!r}: expected KEY=TEXT with one of version, description, author, license"
        in done.stderr
    )
