"""What the proofs of shipping are run with, set up where it is absent; what cannot be is named, and why."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping

from tests.swift import toolchain


class Missing(Exception):
    """A tool is not here and cannot be set up; says why."""


def missing_tools(tools: Mapping[str, Callable[[], object]] | None = None) -> dict[str, str]:
    """Tools that are not here after they were set up where that can be, by name, and why."""
    found: dict[str, str] = {}
    for name, set_up in (TOOLS if tools is None else tools).items():
        try:
            set_up()
        except (Missing, toolchain.NoSwift) as error:
            found[name] = str(error)
    return found


def _nginx() -> None:
    installed("nginx", "nginx")


def installed(command: str, package: str) -> None:
    """Installs a command by apt where it is absent; Missing says why that cannot be done."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    if shutil.which(command, path=path):
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise Missing(f"{command} is not installed; install it, for instance by: apt-get install {package}")
    for words in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", package]):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing(
                f"{words[0]} failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}"
            )


TOOLS: Mapping[str, Callable[[], object]] = {
    "nginx": _nginx,
    "swift": toolchain.set_up,
}
