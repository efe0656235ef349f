"""An empty path, as of a shell variable that is not set, is a usage error and writes nowhere."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pocketrec.cli.main import main
from pocketrec.cli.paths import FilePath


@pytest.mark.parametrize(
    "command",
    [
        ["build", ""],
        ["build", "recipe.toml", "--out", ""],
        ["convert", "model.py:make", "--example", "in.npz", "--out", ""],
        ["convert", "model.py:make", "--example", ""],
        ["run", "main.onnx", "--inputs", "in.npz", "--out", " "],
        ["verify", ""],
        ["inspect", ""],
        ["lint", ""],
        ["diverge", ""],
    ],
)
def test_an_empty_path_names_nothing(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2
    assert "names no file and no folder" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_every_argument_that_is_a_path_is_checked() -> None:
    commands = [*main.commands.values(), *getattr(main.commands["zoo"], "commands", {}).values()]
    paths = [each for command in commands for each in command.params if isinstance(each.type, click.Path)]
    assert len(paths) > 12
    assert [each.name for each in paths if not isinstance(each.type, FilePath)] == []
