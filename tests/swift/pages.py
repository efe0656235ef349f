"""A page of docs/ about Swift, followed in a folder: its files written, its commands run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from click.testing import CliRunner
from tests.docs.page import blocks, files, pattern, transcript
from tests.swift.toolchain import ROOT, run_swift

from pocketrec.cli.main import main

SOURCES = "/path/to/pocketrec"


def steps(page: str) -> list[tuple[str, str]]:
    """The commands of a page, each with what it is said to print."""
    return [each for block in blocks(page) if block.language == "console" for each in transcript(block)]


def follow(page: str, folder: Path) -> None:
    """Writes the page's files and runs its commands; AssertionError names the one that prints something else.

    Args:
        page: its text.
        folder: where its reader is, and this process.
    """
    for name, text in files(page).items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    environment: dict[str, str] = {}
    for command, printed in steps(page):
        said = _run(shlex.split(command), folder, environment)
        assert re.fullmatch(pattern(printed), said), f"{command} prints {said}"


def _run(words: Sequence[str], folder: Path, environment: dict[str, str]) -> str:
    """What a command prints; one that sets a variable prints nothing."""
    if words[0] == "export":
        name, _, value = words[1].partition("=")
        environment[name] = value.replace(SOURCES, str(ROOT))
        return ""
    if words[0] == "pocketrec":
        done = CliRunner().invoke(main, words[1:], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout
    assert words[0] == "swift", words
    built = run_swift(folder, *words[1:], environment=environment)
    assert built.returncode == 0, built.stdout
    return built.stdout
