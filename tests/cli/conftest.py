"""The command: in this process, and as a child process, as a release pipeline calls it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from pocketrec.cli.main import main

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def pocketrec() -> Run:
    """Runs the command here; what is no exit is raised, and fails the test."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        words = [str(each) for each in arguments]
        done = CliRunner().invoke(main, words, catch_exceptions=False)
        return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def child() -> Run:
    """Runs the command in a process of its own, which costs some seconds of imports."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pocketrec", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run
