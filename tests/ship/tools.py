"""What the proofs of shipping are run with, set up where it is absent; what cannot be is named, and why."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from tests.swift import toolchain

_SUITE = "trixie"  # has cosign and oras
_SYSTEM = ("/usr/local/sbin", "/usr/sbin")  # where servers are, which not every PATH has


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


def place() -> Path:
    """Where unpacked programs are: some 100 MB under the user's cache."""
    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cached / "pocketrec" / "tools"


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


def unpacked(command: str) -> None:
    """Unpacks a command from Debian's package of its name where it is absent; the system stays as it is.

    Programs in Go, which need nothing of the release that they come from but its C library.
    """
    if _is_here(command):
        return
    if sys.platform != "linux" or shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise Missing(f"{command} is not installed, and there is no apt here; have it in the PATH")
    place().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place().parent) as folder:
        package = _downloaded(command, Path(folder))
        _run(["dpkg", "-x", str(package), f"{folder}/root"])
        found = Path(folder) / "root/usr/bin" / command
        if not found.is_file():
            raise Missing(f"{package.name} holds no usr/bin/{command}")
        found.rename(place() / command)


def _downloaded(package: str, folder: Path) -> Path:
    """A package of the suite, by an apt of its own, which knows no other sources."""
    for name in ("lists/partial", "cache/archives/partial", "download"):
        (folder / name).mkdir(parents=True)
    form = ["--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages", "Origin: Debian"]
    mirror = toolchain.mirror(_run(["apt-get", "indextargets", *form]))
    (folder / "sources.list").write_text(f"deb {mirror} {_SUITE} main\n")
    apt = [
        "apt-get",
        "-qq",
        "-o",
        f"Dir::Etc::SourceList={folder}/sources.list",
        "-o",
        "Dir::Etc::SourceParts=-",
    ]
    apt += ["-o", f"Dir::State::Lists={folder}/lists", "-o", f"Dir::Cache={folder}/cache"]
    apt += ["-o", "APT::Sandbox::User=root"]
    _run([*apt, "update"])
    _run([*apt, "download", package], folder / "download")
    return next((folder / "download").glob("*.deb"))


def _is_here(command: str) -> bool:
    return shutil.which(command, path=environment()["PATH"]) is not None


def _run(words: Sequence[str], folder: Path | None = None) -> str:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Missing(f"{words[0]} failed: {last}")
    return done.stdout


TOOLS: Mapping[str, Callable[[], object]] = {
    **{name: partial(unpacked, name) for name in ("docker-registry", "oras", "cosign")},
    "nginx": partial(installed, "nginx", "nginx"),
    "swift": toolchain.set_up,
}
