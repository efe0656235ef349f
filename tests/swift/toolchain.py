"""Swift on this machine: the one of the PATH, else Debian's, unpacked outside of the work tree.

`python -m tests.swift.toolchain` sets it up, once: some 1.5 GB under the user's cache, from the mirror that
this machine's apt uses; `POCKETREC_SWIFT_ROOT` names another place. Nothing of it is installed in the system.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
STAND_IN = ROOT / "swift" / "CoreMLLinux"
PLACE = "POCKETREC_SWIFT_ROOT"
_SWIFT = "usr/libexec/swift/bin/swift"  # in the unpacked system; its links are absolute
_SUITE = "trixie"  # has swiftlang 6
# Handed on: ours, and how many threads sums are shared by, as answers are compared to the last bit.
_HANDED_ON = ("POCKETREC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# What Swift links with, and what a Python that was built elsewhere loads.
_PACKAGES = (
    *("base-files", "dash", "coreutils"),
    *("swiftlang", "libc6-dev", "libstdc++-14-dev", "binutils"),
    *("libexpat1", "libffi8", "libssl3t64", "libsqlite3-0", "libbz2-1.0", "liblzma5", "zlib1g"),
    *("libncursesw6", "libreadline8t64", "libuuid1"),
    "unzip",  # by which SwiftPM opens what a registry sends
)
_UNUSED = (
    *("usr/share/doc", "usr/share/man", "usr/share/locale"),
    *(
        f"usr/libexec/swift/{each}"
        for each in (
            *("lib/swift/embedded", "lib/swift_static", "lib/liblldb.so.17.0.0"),
            *("lib/libsourcekitdInProc.so", "lib/libLTO.so.17", "share/doc", "share/man"),
            *("bin/lldb-server", "bin/clangd", "bin/sourcekit-lsp", "bin/docc", "bin/swift-format"),
        )
    ),
)
# In a mount namespace of its own, so that nothing is left to unmount and nobody else sees it.
_ENTER = """
set -e
mount --make-rprivate /
root=$1 folder=$2
shift 2
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir -p "$root$1"; else mkdir -p "$root${1%/*}"; : >> "$root$1"; fi
  mount --rbind "$1" "$root$1"
  shift
done
shift
exec chroot "$root" sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
"""


class NoSwift(Exception):
    """There is no Swift here, and none can be set up; says what is missing."""


def place() -> Path:
    """Where the unpacked system is, or would be."""
    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get(PLACE) or cached / "pocketrec" / "swift")


@cache
def own_swift() -> str | None:
    """The Swift of the PATH; OpenStack's client of that name is none."""
    found = shutil.which("swift")
    if found is None:
        return None
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
    return found if "Swift version" in said.stdout + said.stderr else None


def swift_is_there() -> bool:
    """Whether `run_swift` can run."""
    return own_swift() is not None or (place() / _SWIFT).is_file()


def unzip_is_there() -> bool:
    """Whether Swift can open what a registry sends; a system that was set up before this was asked cannot."""
    return shutil.which("unzip") is not None if own_swift() else (place() / "usr/bin/unzip").is_file()


def run_swift(
    folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What `swift ARGUMENTS` gives in `folder`; see `run_built`."""
    return run_built(folder, own_swift() or f"/{_SWIFT}", *arguments, environment=environment)


def shown(folder: Path) -> bool:
    """Whether Swift sees what lies in a folder, wherever it runs: an unpacked system sees the tree alone."""
    outside = (ROOT, Path(tempfile.gettempdir()).resolve())
    return own_swift() is not None or any(folder.resolve().is_relative_to(each) for each in outside)


def run_built(
    folder: Path, *words: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What a program gives that Swift built, or Swift itself, in `folder`: all its output as text.

    Variables that begin with POCKETREC are handed on, those that say how many threads numbers are summed by,
    and those of `environment`. The stand-in for Core ML is this repository's, and it asks this Python's
    `pocketrec`.

    Raises:
        NoSwift: there is none, and so nothing that it built could run.
    """
    given = {
        "POCKETREC": str(Path(sys.executable).with_name("pocketrec")),
        "POCKETREC_COREML_LINUX": str(STAND_IN),
        **{name: value for name, value in os.environ.items() if name.startswith(_HANDED_ON)},
        **(environment or {}),
    }
    if own_swift() is not None:
        return _run(list(words), folder, {**os.environ, **given})
    if not swift_is_there():
        raise NoSwift("there is no swift here; run: python -m tests.swift.toolchain")
    inside = entered(place().resolve(), folder.resolve(), list(words), can_mount())
    return _run(inside, folder, {**_bare(), **given})


def _run(words: list[str], folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    pipe, both = subprocess.PIPE, subprocess.STDOUT
    return subprocess.run(
        words, cwd=folder, env=dict(environment), text=True, stdout=pipe, stderr=both, check=False
    )


def _bare() -> dict[str, str]:
    """The environment inside: nothing of this machine's but where scratch files go."""
    shared = sysconfig.get_config_var("LIBDIR") if sysconfig.get_config_var("Py_ENABLE_SHARED") else None
    return {
        "PATH": "/usr/libexec/swift/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "TMPDIR": tempfile.gettempdir(),
        **({"LD_LIBRARY_PATH": str(shared)} if shared and not str(shared).startswith("/usr/lib") else {}),
    }


@cache
def can_mount() -> bool:
    """Whether this process may make a mount namespace of its own."""
    words = ["unshare", "-m", "mount", "--make-rprivate", "/"]
    return shutil.which("unshare") is not None and not _failed(words)


def _failed(words: list[str]) -> bool:
    return subprocess.run(words, capture_output=True, check=False).returncode != 0


def entered(root: Path, folder: Path, words: list[str], mounts: bool) -> list[str]:
    """The command that runs `words` in `folder` inside the unpacked system, which sees what it needs."""
    seen = list(bound([Path("/proc"), Path("/dev"), ROOT, Path(tempfile.gettempdir()), folder, *_python()]))
    if any(root.is_relative_to(each) for each in seen):
        # What is bound into itself has no end for whoever reads it through.
        raise NoSwift(f"{root} lies in what it would show; name another place by {PLACE}")
    if mounts:
        shown = [str(each) for each in seen]
        return [
            str(shutil.which("unshare")),
            "-m",
            "sh",
            "-c",
            _ENTER,
            "sh",
            str(root),
            str(folder),
            *shown,
            "--",
            *words,
        ]
    proot = shutil.which("proot")
    if proot is None:
        raise NoSwift("mounts are not allowed, and there is no proot; run: python -m tests.swift.toolchain")
    flags = [f"--bind={each}" for each in seen]
    return [proot, "-0", f"--rootfs={root}", f"--cwd={folder}", *flags, *words]


def _python() -> Iterator[Path]:
    """What this Python consists of, with its packages; a system's own is more than may be shown."""
    base = Path(sys.base_prefix).resolve()
    if base in (Path("/usr"), Path("/")):
        yield Path(sys.executable).resolve()
        yield from (Path(sysconfig.get_path(key)) for key in ("stdlib", "platstdlib"))
    else:
        yield base
    yield Path(sys.prefix)
    yield from (Path(each) for each in sys.path if "site-packages" in each or "dist-packages" in each)


def bound(paths: Iterable[Path]) -> Iterator[Path]:
    """The paths that exist, each once, without those that lie in another."""
    there = sorted({each.absolute() for each in paths if each.exists()})
    for each in there:
        if not any(each != other and each.is_relative_to(other) for other in there) and each != Path("/usr"):
            yield each


def mirror(lines: str) -> str:
    """The Debian mirror among what `apt-get indextargets` says; NoSwift where apt has none."""
    for line in lines.splitlines():
        address, _, suite = line.partition(" ")
        if address and not suite.endswith(("-security", "-updates", "-backports")):
            return address
    raise NoSwift("apt has no Debian mirror here; install Swift 6, and have it in the PATH")


def set_up() -> Path:
    """Where Swift is, unpacked if it was not yet, or not whole; NoSwift says why it cannot be."""
    own = own_swift()
    if own is not None or (swift_is_there() and unzip_is_there()):
        return Path(own) if own else place()
    if sys.platform != "linux" or shutil.which("apt-get") is None:
        raise NoSwift("there is neither swift nor apt here; install Swift 6, and have it in the PATH")
    _install("mmdebstrap", *([] if can_mount() else ["proot"]))
    form = ["--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages", "Origin: Debian"]
    address = mirror(_output(["apt-get", "indextargets", *form]))
    goal = place()
    goal.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="swift-", dir=goal.parent) as scratch:
        made = Path(scratch) / "root"
        whole = not swift_is_there()
        _unpack(_PACKAGES if whole else ("unzip",), made, address)
        if whole:
            _prepare(made)
            made.rename(goal)  # so that half of one is never found
        else:
            (made / "usr/bin/unzip").rename(goal / "usr/bin/unzip")
    return goal


def _unpack(packages: Iterable[str], root: Path, address: str) -> None:
    """Unpacks Debian's packages, with what they depend on, into a folder that is not there yet."""
    named = f"--include={','.join(packages)}"
    _output(["mmdebstrap", "--quiet", "--variant=extract", named, _SUITE, str(root), address])


def _prepare(root: Path) -> None:
    """Leaves out what no build needs, and gives the system what its packages' scripts would."""
    for name in _UNUSED:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for name in ("proc", "dev", "tmp", "root"):
        (root / name).mkdir(exist_ok=True)
    (root / "usr/bin/swift").unlink(missing_ok=True)
    (root / "usr/bin/swift").symlink_to(f"/{_SWIFT}")


def _install(*names: str) -> None:
    """Installs commands by apt where they are absent."""
    absent = [each for each in names if shutil.which(each) is None]
    if absent and os.geteuid() != 0:
        raise NoSwift(f"{', '.join(absent)} is not installed; run: apt-get install {' '.join(absent)}")
    if absent:
        _output(["apt-get", "update", "-qq"])
        _output(["apt-get", "install", "-y", "-qq", *absent])


def _output(words: list[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise NoSwift(f"{words[0]} failed: {last}")
    return done.stdout


def main() -> int:
    """Sets Swift up and prints where it is, with its version; 1 where it cannot be."""
    try:
        print(set_up())
        print(next(each for each in run_swift(ROOT, "--version").stdout.splitlines() if "version" in each))
    except NoSwift as error:
        print(f"Swift: not run, {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
