"""A project to start from is whole, builds, and replaces nothing."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file

from pocketrec.cli.main import main
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.pipeline.sources import load_source
from pocketrec.pipeline.start.project import project_name
from pocketrec.source.factory import load_factory

OWN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(30, 4)
        self.out = nn.Linear(4, 30)

    def forward(self, history, age):
        return self.out(self.table(history).mean(1) * age[:, None])

def make():
    torch.manual_seed(0)
    return Net().eval()
"""


def start(*arguments: str | Path) -> dict[str, list[str]]:
    done = CliRunner().invoke(main, ["init", *map(str, arguments), "--json"])
    assert done.exit_code == 0, done.stderr
    said: dict[str, list[str]] = json.loads(done.stdout)
    return said


@pytest.mark.parametrize("name", FAMILIES)
def test_a_project_from_the_zoo_names_its_own_files(name: str, tmp_path: Path) -> None:
    said = start("--from", name, tmp_path / "Shop Films")
    folder = tmp_path / "Shop Films"
    assert {"model.py", "data.py", "train.py", "recipe.toml", "tests/test_project.py"} <= set(said["files"])
    assert sorted(said["files"]) == sorted(
        each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()
    )
    recipe = load_recipe(folder / "recipe.toml")
    assert (recipe.name, recipe.version) == ("shop-films", "0.1.0")
    assert recipe.model.factory is not None
    assert recipe.model.factory.startswith("model.py:")
    assert recipe.model.weights == "weights.safetensors"
    assert recipe.model.trained_by == "python train.py"
    stated = (folder / "recipe.toml").read_text(encoding="utf-8")
    assert "pocketrec.model_zoo" not in stated
    for file in ("model", "data"):
        text = (folder / f"{file}.py").read_text(encoding="utf-8")
        assert "__file__)" not in text.replace(f'weights_of("{name}", __file__)', ""), "its place is another"
        for named in re.findall(rf'"{file}\.py:(\w+)"', stated):
            assert re.search(rf"^def {named}\(|^from .* import .*\b{named}\b", text, re.MULTILINE), named
    fit = FAMILIES[name].train.partition(":")[2]
    assert f"train_module(model.{fit}, " in (folder / "train.py").read_text(encoding="utf-8")
    assert (folder / "weights.safetensors").is_file() or said["next"][1] == "python train.py"


def test_a_project_is_made_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "Shop's films"
    folder.mkdir()
    monkeypatch.chdir(folder)
    said = start(".")
    assert {"model.py", "recipe.toml", "tests/test_project.py"} <= set(said["files"])
    assert sorted(each.name for each in Path.cwd().iterdir()) == sorted(
        {each.partition("/")[0] for each in said["files"]}
    )
    assert load_recipe(folder / "recipe.toml").name == "shop-s-films"


def test_the_next_command_can_be_given_to_a_shell(tmp_path: Path) -> None:
    said = start(tmp_path / "Shop's films; rm")
    place = shlex.split(said["next"][0])
    assert place == ["cd", str(tmp_path / "Shop's films; rm")]


def test_a_project_spells_its_items_as_its_own_weights_do(tmp_path: Path) -> None:
    """Not as those of the zoo, which it may have left behind long ago."""
    start("--from", "tiger", tmp_path / "films")
    weights = load_file(tmp_path / "films" / "weights.safetensors")
    weights["spelled"][1] = [1, 34, 67, 100]
    save_file(weights, tmp_path / "films" / "weights.safetensors")
    spellings = load_factory("model.py:spellings", base=tmp_path / "films", key="spellings")
    assert spellings().tokens[:2] == ("", "1 34 67 100")


def test_a_training_that_lacks_its_data_says_so_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(tmp_path / "films")
    lacking = 'from pocketrec.errors import DataError\ndef train(run):\n    raise DataError("no films")\n'
    (tmp_path / "films" / "model.py").write_text(lacking, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "films")
    monkeypatch.delitem(sys.modules, "model", raising=False)
    with pytest.raises(SystemExit, match=r"^error: no films$"):
        runpy.run_path(str(tmp_path / "films" / "train.py"), run_name="__main__")
    monkeypatch.delitem(sys.modules, "model")


def test_a_mistake_is_told_by_the_option_that_made_it(own: Path) -> None:
    save_file({"table.weight": np.ones((30, 5), np.float32)}, own / "other.safetensors")
    asked = ["init", "--example", "in.npz", "mine"]
    lost = CliRunner().invoke(main, [*asked, "--from", "nobody.py:make"])
    assert (lost.exit_code, lost.stderr.partition(": ")[2][:7]) == (2, "--from:")
    wide = CliRunner().invoke(main, [*asked, "--from", "own.py:make", "--weights", "other.safetensors"])
    assert wide.exit_code == 2
    assert "model." not in wide.stderr.replace("safetensors", "")


def test_what_is_done_by_hand_stands_before_the_commands(own: Path) -> None:
    arguments = ["init", "--from", "own.py:make", "--example", "in.npz", "my shop"]
    said = CliRunner().invoke(main, arguments).stdout.splitlines()[-1]
    edited = (
        "edit my shop/data.py, my shop/history.txt and my shop/recipe.toml (guessed there: vocabulary of "
        "output; padding_side of history; out_of_vocabulary of history; minimum and maximum of age)"
    )
    assert said == f"next: {edited}, then cd 'my shop' && pocketrec build recipe.toml"


def test_model_contract_and_data_of_a_new_project_agree(tmp_path: Path) -> None:
    start(tmp_path / "films")
    loaded = load_source(load_recipe(tmp_path / "films" / "recipe.toml"), tmp_path / "films")
    assert len(loaded.asked[0].data) == 943


@pytest.mark.long
def test_a_new_project_tests_builds_and_builds_again_with_another_dimension(tmp_path: Path) -> None:
    start(tmp_path / "films")
    folder = tmp_path / "films"
    source = folder / "model.py"
    text = source.read_text(encoding="utf-8")
    source.write_text(
        text.replace("dim: int = 64", "dim: int = 16").replace("epochs=36", "epochs=1"), encoding="utf-8"
    )
    assert source.read_text(encoding="utf-8") != text
    pocketrec = [sys.executable, "-m", "pocketrec"]
    for command in (
        [sys.executable, "train.py"],
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        [*pocketrec, "build", "recipe.toml", "--target", "onnx"],
    ):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "build" / "films" / "manifest.json").is_file()


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module of somebody's own and an example of its inputs."""
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    np.savez(
        tmp_path / "in.npz",
        history=np.array([[3, 4, 5], [1, 2, 9]]),
        age=np.array([0.2, 0.9], np.float32),
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_project_around_an_own_module_is_drafted_from_its_example(own: Path) -> None:
    said = start("--from", "own.py:make", "--example", "in.npz", "mine")
    assert set(said["files"]) == {"data.py", "example.npz", "history.txt", "recipe.toml"}
    recipe = tomllib.loads((own / "mine" / "recipe.toml").read_text(encoding="utf-8"))
    assert recipe["model"]["factory"] == "../own.py:make"
    inputs = recipe["contract"]["functions"]["main"]["inputs"]
    assert [each["name"] for each in inputs] == ["history", "age"]
    assert [each["kind"] for each in inputs] == ["id_sequence", "dense"]
    assert len((own / "mine" / "history.txt").read_text(encoding="utf-8").splitlines()) == 30


def test_a_draft_says_what_of_it_is_of_the_example_alone(own: Path) -> None:
    start("--from", "own.py:make", "--example", "in.npz", "mine")
    text = (own / "mine" / "recipe.toml").read_text(encoding="utf-8")
    assert text.count("# The ends of the example's rows alone") == 1, "of one number"
    remark, _, rest = text.partition("# The ends of the example's rows alone")[2].partition("\nminimum = ")
    assert "State what" in remark
    assert "\nmaximum = " in rest
    data = (own / "mine" / "data.py").read_text(encoding="utf-8")
    assert "    history: a list of ids, which are places in history.txt.\n    age: a number.\n" in data


def test_what_an_example_decides_is_no_guess(own: Path) -> None:
    """A module of numbers alone, whose output is as long as no vocabulary."""
    (own / "dense.py").write_text(
        "from torch import nn\n\nclass Net(nn.Linear):\n    def forward(self, taste):\n"
        "        return super().forward(taste)\n\ndef make():\n    return Net(3, 1).eval()\n",
        encoding="utf-8",
    )
    np.savez("taste.npz", taste=np.array([[0.0, 1.0, 0.5], [0.2, 0.3, 0.4]], np.float32))
    said = start("--from", "dense.py:make", "--example", "taste.npz", "mine")
    assert said["next"][0] == "edit mine/data.py and mine/recipe.toml"
    assert "    taste: 3 numbers.\n" in (own / "mine" / "data.py").read_text(encoding="utf-8")


def test_a_draft_is_not_built_before_held_out_rows_are_there(own: Path) -> None:
    start("--from", "own.py:make", "--example", "in.npz", "mine")
    done = CliRunner().invoke(main, ["build", "mine/recipe.toml", "--out", "out"])
    assert done.exit_code == 2
    assert "evaluation() has to return held-out rows" in done.stderr
    text = (own / "mine" / "data.py").read_text(encoding="utf-8")
    assert '{"history": […], "age": […]}' in text
    rows = '{"history": [[3, 4, 5], [1, 2, 9]], "age": [0.5, 0.25]}, positives=[7, 8]'
    lines = [line for line in text.splitlines() if "raise" not in line and "# return" not in line]
    made = [*lines, f"    return RankingData.from_lists(inputs={rows})", ""]
    (own / "mine" / "data.py").write_text("\n".join(made), encoding="utf-8")
    loaded = load_source(load_recipe(own / "mine" / "recipe.toml"), own / "mine")
    assert len(loaded.asked[0].data) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["full"], "full is not empty, and nothing in it is replaced"),
        (["file"], "file is no folder"),
        (["nowhere/new"], "nowhere is not there"),
        (["--from", "nobody", "new"], "no family 'nobody'"),
        (["--from", "own.py:make", "new"], "add --example FILE.npz"),
        (["--from", "sasrec", "--example", "in.npz", "new"], "--example goes with a module of your own"),
        (["--weights", "w.pt", "new"], "--weights goes with a module of your own"),
    ],
)
def test_nothing_is_replaced_and_nothing_half_made(own: Path, arguments: list[str], said: str) -> None:
    (own / "full").mkdir()
    (own / "full" / "mine.txt").write_text("mine")
    (own / "file").write_text("mine")
    before = sorted(each for each in own.rglob("*"))
    done = CliRunner().invoke(main, ["init", *arguments])
    assert done.exit_code == 2
    assert said in done.stderr
    assert sorted(each for each in own.rglob("*")) == before


@pytest.mark.parametrize(
    ("folder", "name"), [("My Shop!", "my-shop"), ("a_b.c", "a-b-c"), ("日本", "recommender")]
)
def test_a_projects_name_can_name_artifacts(folder: str, name: str, tmp_path: Path) -> None:
    assert project_name(tmp_path / folder) == name
