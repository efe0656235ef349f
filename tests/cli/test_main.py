"""The command line as a whole: instant help, one line per error, the exit codes."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pocketrec import __version__
from pocketrec.cli.main import Boundary, describe, main
from pocketrec.cli.signals import Terminated
from pocketrec.errors import (
    ArtifactError,
    ConversionError,
    GateFailed,
    MissingExtra,
    PocketrecError,
    RecipeError,
)

HEAVY = ("torch", "coremltools", "onnxruntime", "onnx", "numpy", "rich")
COMMANDS = (
    "build",
    "convert",
    "delta",
    "apply",
    "diff",
    "diverge",
    "profile",
    "parity",
    "verify",
    "sign",
    "push",
    "pull",
    "list",
    "tag",
    "init",
    "inspect",
    "report",
    "card",
    "lint",
    "run",
    "serve-pipe",
    "recommend",
    "search",
    "score",
    "package",
    "assign",
    "experiment",
    "doctor",
    "zoo",
)


def raising(error: BaseException) -> click.Group:
    @click.group(cls=Boundary)
    @click.option("--debug", is_flag=True)
    def group(debug: bool) -> None:
        pass

    @group.command()
    def go() -> None:
        raise error

    return group


HELPS = [["--help"], *([name, "--help"] for name in COMMANDS)]


@pytest.fixture(scope="module")
def imported_by_help() -> list[list[str]]:
    """The heavy packages that are imported after each help text, all of which one child process prints."""
    code = (
        "import sys; from click.testing import CliRunner; from pocketrec.cli.main import main\n"
        f"for arguments in {HELPS!r}:\n"
        "    assert CliRunner().invoke(main, arguments).exit_code == 0\n"
        f"    print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [line.split() for line in done.stdout.splitlines()]


@pytest.mark.parametrize("number", range(len(HELPS)), ids=map(" ".join, HELPS))
def test_help_imports_nothing_heavy(number: int, imported_by_help: list[list[str]]) -> None:
    assert len(imported_by_help) == len(HELPS)
    assert imported_by_help[number] == []


def test_every_command_explains_itself() -> None:
    assert set(main.commands) == set(COMMANDS)
    for name, command in main.commands.items():
        text = CliRunner().invoke(main, [name, "--help"]).stdout
        assert "Example" in text or isinstance(command, click.Group), name
        for sub in command.commands if isinstance(command, click.Group) else ():
            assert "Example" in CliRunner().invoke(main, [name, sub, "--help"]).stdout, sub


def test_version() -> None:
    assert CliRunner().invoke(main, ["--version"]).stdout == f"pocketrec, version {__version__}\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (GateFailed("scores differ by 0.2"), 1),
        (ArtifactError("contract.json: altered"), 1),
        (RecipeError("recipe.toml: no such file"), 2),
        (MissingExtra("torch", "build"), 2),
        (ConversionError("aten.fmod: no lowering"), 3),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(error: PocketrecError, code: int) -> None:
    done = CliRunner().invoke(raising(error), ["go"])
    assert (done.exit_code, done.stdout, done.stderr) == (code, "", f"error: {error}\n")


def test_a_message_of_several_lines_becomes_one() -> None:
    done = CliRunner().invoke(raising(ConversionError("first\n  second")), ["go"])
    assert done.stderr == "error: first second\n"


def test_debug_shows_the_traceback() -> None:
    done = CliRunner().invoke(raising(ConversionError("no lowering")), ["--debug", "go"])
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("error: no lowering\n")
    assert done.exit_code == 3


def test_a_defect_asks_for_debug() -> None:
    done = CliRunner().invoke(raising(KeyError("x")), ["go"])
    assert done.exit_code == 4
    assert done.stderr == "error: defect in pocketrec: KeyError: 'x'; run again as `pocketrec --debug ...`\n"


def test_a_full_disk_is_no_defect_wherever_it_comes_up() -> None:
    done = CliRunner().invoke(raising(OSError(errno.ENOSPC, "told by the system", "/out/a")), ["go"])
    assert done.exit_code == 3
    assert done.stderr == "error: /out/a: No space left on device; free space, or write to another folder\n"


def test_an_interrupt_exits_with_130() -> None:
    done = CliRunner().invoke(raising(KeyboardInterrupt()), ["go"])
    assert (done.exit_code, done.stderr) == (130, "interrupted\n")
    noted = KeyboardInterrupt()
    noted.add_note("the same command goes on")
    done = CliRunner().invoke(raising(noted), ["go"])
    assert (done.exit_code, done.stderr) == (130, "interrupted; the same command goes on\n")


def test_a_termination_exits_with_143() -> None:
    done = CliRunner().invoke(raising(Terminated()), ["go"])
    assert (done.exit_code, done.stderr) == (143, "terminated\n")


@pytest.mark.parametrize("error", [SystemExit(0), SystemExit("bye"), BaseException("stop")])
def test_what_would_end_the_process_is_an_error_with_file_and_line(error: BaseException) -> None:
    done = CliRunner().invoke(raising(error), ["go"])
    assert done.exit_code == 2
    assert re.search(r"ended the process: \w+ at .*test_main\.py:\d+: ", done.stderr)


TERMINATED = """
import os, sys, threading
from pathlib import Path

import click
from pocketrec.cli.console import progress_on_stderr
from pocketrec.cli.main import Boundary
from pocketrec.package.bundle import staging

@click.group(cls=Boundary)
def main(): pass

@main.command()
def go():
    with progress_on_stderr(), staging(Path(sys.argv[2])) as folder:
        (folder / "half").write_text("")
        os.write(1, b"ready")
        threading.Event().wait()

main(["go"])
"""


def test_a_terminated_command_leaves_nothing_and_exits_with_143(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", TERMINATED, "go", str(tmp_path / "b")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert os.read(child.stdout.fileno(), 5) == b"ready"
    assert [path.name.startswith(".b.staging-") for path in tmp_path.iterdir()] == [True]
    child.terminate()
    assert child.communicate()[1] == b"terminated\n"
    assert (child.returncode, list(tmp_path.iterdir())) == (143, [])


def test_a_missing_torch_names_the_extra() -> None:
    message, code = describe(ModuleNotFoundError("No module named 'torch'", name="torch"))
    assert code == 2
    assert message == "torch is not installed; it comes with the extra: pip install 'pocketrec[build]'"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["biuld"], "No such command 'biuld'"),
        (["build"], "Missing argument 'RECIPE'"),
        (["build", "none.toml"], "error: none.toml: no such file; pass the path of a recipe.toml"),
        (["verify", "none"], "error: none: no such folder; pass the path of a bundle"),
        (
            ["inspect", "none"],
            "error: none: no such file or folder; expected a bundle, or an artifact that ends in",
        ),
        (["verify", __file__], ": a file; pass the path of a bundle, which is a folder"),
        (["inspect", __file__], "test_main.py: expected a bundle, or an artifact that ends in one of .onnx"),
        (
            ["lint", "none"],
            "error: none: no such file or folder; expected a bundle, or an artifact that ends in",
        ),
        (["run", "a.onnx", "--inputs", "none.npz", "--out", "o.npz"], "error: a.onnx: no such artifact"),
    ],
)
def test_wrong_usage_exits_with_2(
    pocketrec: Callable[..., subprocess.CompletedProcess[str]], arguments: list[str], text: str
) -> None:
    done = pocketrec(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_output_to_a_file_has_no_colour(
    child: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = child("doctor")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout + done.stderr
    assert "coreml-interpreter" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "kind", "code", "words"),
    [
        (("build", "absent.toml", "--json"), "RecipeError", 2, "absent.toml: no such file"),
        (("build", "--json"), "UsageError", 2, "Missing argument 'RECIPE'"),
        (("inspect", "absent.onnx", "--json"), "UsageError", 2, "absent.onnx"),
    ],
)
def test_an_error_is_json_where_json_was_asked_for(
    arguments: tuple[str, ...], kind: str, code: int, words: str
) -> None:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == code
    table = json.loads(done.stdout)
    assert table["schema"] == 1
    assert table["error"]["exit_code"] == code
    assert words in table["error"]["message"]
    if kind != "UsageError":
        assert table["error"]["kind"] == kind
    assert words in " ".join(done.stderr.split())


def test_an_error_is_no_json_where_none_was_asked_for() -> None:
    assert CliRunner().invoke(main, ("build", "absent.toml")).stdout == ""
