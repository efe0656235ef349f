"""A bundle's recipe is found by what it says, wherever it lies near, and never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketrec.cli.recipes import find_recipe
from pocketrec.errors import UsageError
from pocketrec.pipeline.recipes import load_recipe

RECIPE = """
schema = 1
name = "mine"
version = "1.0"
model = {factory = "model.py:make"}

[contract.dims.batch]
max = 8

[contract.functions.main]
inputs = [{name = "x", kind = "dense", shape = ["batch", 5]}]
outputs = [{name = "scores", meaning = "score", shape = ["batch", 9]}]

[evaluate]
data = "model.py:data"
kind = "ranking"
output = "scores"

[targets.onnx]
"""


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import json

    (tmp_path / "mine.toml").write_text(RECIPE)
    folder = tmp_path / "build" / "mine"
    folder.mkdir(parents=True)
    (folder / "recipe.json").write_text(json.dumps(load_recipe(tmp_path / "mine.toml").to_dict()))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return folder


def test_the_recipe_above_the_bundle_is_found_among_others(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(RECIPE.replace('"mine"', '"other"'))
    (tmp_path / "older.toml").write_text(RECIPE.replace('"1.0"', '"0.9"'))
    (tmp_path / "broken.toml").write_text("[tool]\n")
    assert find_recipe(bundle) == (tmp_path / "mine.toml").resolve()


def test_a_budget_that_became_a_plan_is_the_same_recipe(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(RECIPE + "\n[compress]\nmax_ratio = 0.5\n")
    assert find_recipe(bundle) == (tmp_path / "mine.toml").resolve()


def test_none_and_two_are_said(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "build" / "copy.toml").write_text(RECIPE)
    with pytest.raises(UsageError, match=r"copy\.toml, .*mine\.toml all say what its recipe does; pass one"):
        find_recipe(bundle)
    (tmp_path / "build" / "copy.toml").unlink()
    (tmp_path / "mine.toml").write_text(RECIPE.replace("9]", "10]"))
    with pytest.raises(UsageError, match=r"no recipe named 'mine' that says the same in this folder, beside"):
        find_recipe(bundle)


@pytest.mark.parametrize(
    ("place", "message"), [("none", "none: no such folder"), ("mine.toml", "toml: a file")]
)
def test_what_is_no_bundle_is_a_wrong_call_and_no_damage(
    bundle: Path, tmp_path: Path, place: str, message: str
) -> None:
    with pytest.raises(UsageError, match=f"{message}; pass the path of a bundle, which is a folder"):
        find_recipe(tmp_path / place)
