"""A real registry, and the tools that others push, pull and check with: Debian's, in the user's cache.

`python -m tests.package.registry.tools` sets them up, once: some 100 MB, from the mirror that this machine's
apt uses, through lists of their own. Nothing of them is installed in the system.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from tests.swift.toolchain import NoSwift, mirror

NAMES = ("docker-registry", "oras", "cosign")
_SUITE = "trixie"  # has all three; they need glibc 2.34
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class NoTool(Exception):
    """A tool is not here, and cannot be set up; says why."""


def place() -> Path:
    """Where the unpacked programs are, or would be."""
    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cached / "pocketrec" / "tools"


@cache
def tool(name: str) -> Path:
    """The program of that name, set up if it was not yet; NoTool says why it cannot be."""
    own = shutil.which(name)
    if own is not None:
        return Path(own)
    if not (place() / name).is_file():
        _set_up()
    return place() / name


def _set_up() -> None:
    """Unpacks the programs from Debian's packages."""
    if sys.platform != "linux" or shutil.which("apt-get") is None:
        raise NoTool(f"there is no apt here; install {', '.join(NAMES)}, and have them in the PATH")
    place().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pocketrec-tools-") as name:
        folder = Path(name)
        apt = ["apt-get", "-qq", *_options(folder)]
        _output([*apt, "update"], folder)
        _output([*apt, "download", *NAMES], folder)
        for package in folder.glob("*.deb"):
            _output(["dpkg", "-x", str(package), str(folder / "unpacked")], folder)
        for each in NAMES:
            made = place() / f".{each}-{os.getpid()}"
            shutil.copy2(folder / "unpacked/usr/bin" / each, made)
            made.rename(place() / each)  # so that half of one is never found


def _options(folder: Path) -> list[str]:
    """Apt's own words for lists, sources and a cache that are nobody else's."""
    form = ["--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages", "Origin: Debian"]
    try:
        address = mirror(_output(["apt-get", "indextargets", *form], folder))
    except NoSwift:
        raise NoTool(f"apt has no Debian mirror here; install {', '.join(NAMES)}") from None
    for each in ("lists/partial", "cache/archives/partial"):
        (folder / each).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {address} {_SUITE} main\n")
    places = {
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root",
    }
    return [word for key, value in places.items() for word in ("-o", f"{key}={value}")]


def _output(words: list[str], folder: Path) -> str:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoTool(f"{words[0]} failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    return done.stdout


def main() -> int:
    """Sets the tools up and prints where they are; 1 where one cannot be."""
    try:
        for name in NAMES:
            print(tool(name))
    except NoTool as error:
        print(f"not run: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
