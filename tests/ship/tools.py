"""What the proofs of shipping are run with, set up where it is absent; what cannot be is named, and why."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from tests.package.registry.tools import NAMES, NoTool, place, tool
from tests.swift import toolchain

_SYSTEM = ("/usr/local/sbin", "/usr/sbin")  # where servers are, which not every PATH has


class Missing(Exception):
    """A tool is not here and cannot be set up; says why."""


def missing_tools(tools: Mapping[str, Callable[[], object]] | None = None) -> dict[str, str]:
    """Tools that are not here after they were set up where that can be, by name, and why."""
    found: dict[str, str] = {}
    for name, set_up in (TOOLS if tools is None else tools).items():
        try:
            set_up()
        except (Missing, NoTool, toolchain.NoSwift) as error:
            found[name] = str(error)
    return found


def environment() -> dict[str, str]:
    """Variables by which tests find the tools."""
    path = os.pathsep.join([str(place()), os.environ.get("PATH", ""), *_SYSTEM])
    cosign = shutil.which("cosign", path=path)
    return {"PATH": path, **({"POCKETREC_COSIGN": cosign} if cosign else {})}


def installed(command: str, package: str) -> None:
    """Installs a command by apt where it is absent; Missing says why that cannot be done."""
    if _is_here(command):
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise Missing(f"{command} is not installed; install it, for instance by: apt-get install {package}")
    for words in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", package]):
        _run(words)


def _is_here(command: str) -> bool:
    return shutil.which(command, path=environment()["PATH"]) is not None


def _run(words: Sequence[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Missing(f"{words[0]} failed: {last}")
    return done.stdout


TOOLS: Mapping[str, Callable[[], object]] = {
    **{name: partial(tool, name) for name in NAMES},
    "nginx": partial(installed, "nginx", "nginx"),
    "swift": toolchain.set_up,
}
