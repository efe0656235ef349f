"""The command as a child process, as a release pipeline calls it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def pocketrec() -> Run:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pocketrec", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run
