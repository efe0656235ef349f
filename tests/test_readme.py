"""The README is true: its commands run, its recipe loads, and every command is in it."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from tests.docs import page

from pocketrec import errors
from pocketrec.cli.main import INTERNAL_ERROR, main
from pocketrec.cli.signals import INTERRUPTED, TERMINATED
from pocketrec.recipe import Recipe
from pocketrec.schema import from_table

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
# These install, or take the whole suite; the Makefile's own lines are compared instead.
MADE = ("make demo", "make test")


def blocks(language: str, text: str = README) -> list[str]:
    return [each.text for each in page.blocks(text) if each.language == language]


def shown() -> list[str]:
    return [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]


def commands(group: click.Group, path: str = "pocketrec") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def undocumented(group: click.Group, text: str) -> list[str]:
    missing = []
    for name, command in commands(group):
        rows = [row for row in text.splitlines() if row.startswith(f"| `{name}")]
        options = [param.opts[-1] for param in command.params if isinstance(param, click.Option)]
        missing += [f"{name} {each}" for each in options if not any(_long(each) in row for row in rows)]
        missing += [] if rows else [name]
    return missing


def _long(option: str) -> str:
    return option if option.startswith("--") else f"--{option}"


def test_every_command_and_option_is_documented() -> None:
    assert undocumented(main, README) == []


def test_an_undocumented_command_is_found() -> None:
    @click.group()
    def group() -> None:
        pass

    @group.command()
    @click.option("--deep")
    def dive(deep: str) -> None:
        pass

    assert undocumented(group, "") == ["pocketrec dive --deep", "pocketrec dive"]
    assert undocumented(group, "| `pocketrec dive [--deep N]` | |") == []


def test_the_recipe_loads() -> None:
    (block,) = blocks("toml")
    assert from_table(Recipe, tomllib.loads(block), source="README.md").name == "mine"


def test_the_exit_codes_are_those_of_the_command() -> None:
    """Every error's code stands in the table and in the help, and no other does."""
    help_text = " ".join(main.help.split()) if main.help else ""
    codes = {int(each) for each in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    kinds = [each for each in vars(errors).values() if isinstance(each, type)]
    of_errors = {each.exit_code for each in kinds if issubclass(each, errors.PocketrecError)}
    assert codes == of_errors | {0, INTERNAL_ERROR, INTERRUPTED, TERMINATED}
    assert [code for code in codes if not re.search(rf"\b{code} ", help_text)] == []


def test_the_make_targets_run_what_the_readme_shows() -> None:
    demo = subprocess.run(["make", "-n", "demo"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert ".venv/bin/pocketrec build model_zoo/recipes/sasrec.toml --out build/sasrec" in demo
    assert "pocketrec build model_zoo/recipes/sasrec.toml --out build/sasrec" in shown()
    tests = subprocess.run(
        ["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for tool in ("ruff check", "ruff format --check", "mypy", "pyright", "pytest"):
        assert f".venv/bin/{tool}" in tests
    assert "make test" in (ROOT / ".ci/run").read_text()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    (folder / "model_zoo").symlink_to(ROOT / "model_zoo")
    return folder


@pytest.mark.long
def test_every_command_runs_and_so_does_the_python(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = [line for line in shown() if line not in MADE]
    assert any(line.startswith("pocketrec build") for line in ran)
    monkeypatch.chdir(place)
    for line in ran:
        words = shlex.split(line)
        assert words[0] == "pocketrec", line
        done = CliRunner().invoke(main, words[1:], catch_exceptions=False)
        assert done.exit_code == 0, f"{line}\n{done.output}"
    (block,) = blocks("python")
    opening = block[block.index("with ") :].replace("result.path", "Path('build/sasrec')")
    exec(f"from pathlib import Path\nimport pocketrec\n{opening}", {})
    assert "history" in capsys.readouterr().out
