"""The older release and a delta to the newer one: every file what its manifest says, or no bundle at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BufferedReader
from pathlib import Path

import numpy as np

from pocketrec.errors import ArtifactError, StorageError, UsageError
from pocketrec.outside import LARGEST_TEXT, open_file, require_file
from pocketrec.package.bundle import (
    Bundle,
    publish,
    read_bundle,
    staging,
    verify_files,
    verify_names,
)
from pocketrec.package.delta.decode import rebuild
from pocketrec.package.delta.format import AGAIN, Entry, Header, most_bytes, read_delta
from pocketrec.package.delta.make import mapped, side_of
from pocketrec.package.manifest import MANIFESTS, file_sha256
from pocketrec.package.parts import write_part
from pocketrec.package.sign.files import SIGNATURE_FILES
from pocketrec.progress import Progress


def apply_delta(
    old: Bundle,
    delta: Path,
    out: Path,
    report: Progress,
    check: Callable[[Header], None] = lambda header: None,
) -> Bundle:
    """The newer release at `out`, bit for bit; an older one there is replaced at the very end.

    A part of the older one, which `pull --only` makes, becomes that part of the newer.

    Args:
        old: the release that the delta leads from; files of it are checked as they are read.
        delta: the file.
        out: where the newer release goes; it may be where the older one is.
        report: told what is being done.
        check: raises where what the delta says that it gives is not what is wanted, before any of it is made.

    Raises:
        UsageError: the delta leads from another release, or something else is at `out`.
        ArtifactError: the delta, or a file of the older release, is damaged.
        StorageError: there is no room.
    """
    require_file(delta, error=UsageError, remedy="pass the file of a delta")
    with open_file(delta) as file:
        size = os.fstat(file.fileno()).st_size
        header = read_delta(file, size, str(delta), lambda done, total: report("check", done, total))
        _check_base(old, header)
        _check_sizes(old, header)
        check(header)
        with staging(out) as folder, _room(out, header):
            _write_files(old, header, file, folder, report)
            made = _checked(folder, header)
            report("publish", 0, 1)
            publish(folder, out)
    return replace(made, path=out)


def _check_base(old: Bundle, header: Header) -> None:
    """Checks that the delta leads from this release, and that no file of it is missing."""
    here, needed = side_of(old), header.base
    if here != needed:
        raise UsageError(
            f"{old.path}: is {here}; the delta leads from {needed} to {header.target}; "
            "pass that release, or pull the whole of the newer one"
        )
    problems = verify_names(old)
    if problems:
        raise ArtifactError(f"{old.path}: {problems[0]}; pull the bundle again")


def _check_sizes(old: Bundle, header: Header) -> None:
    """Checks that each file can be as large as the header says, before any is made."""
    known = {*MANIFESTS, *old.listed} - old.left_out
    for each in header.files:
        base = (old.path / each.base).stat().st_size if each.base in known else 0
        most = most_bytes(each.stored_bytes, base)
        if each.path in MANIFESTS or each.path in SIGNATURE_FILES:
            most = min(most, LARGEST_TEXT)
        if each.size_bytes > most:
            raise ArtifactError(
                f"{each.path}: {each.size_bytes} bytes by {each.stored_bytes} of records, expected {most} at "
                f"most; {AGAIN}"
            )
    lacking = [each for each in MANIFESTS if each not in {entry.path for entry in header.files[:3]}]
    if lacking:
        raise ArtifactError(f"{lacking[0]}: not at the beginning of the delta's files; {AGAIN}")


@contextmanager
def _room(out: Path, header: Header) -> Iterator[None]:
    """Checks that what changed fits on the disk; what the system says meanwhile is a StorageError."""
    needed, free = sum(each.size_bytes for each in header.files), shutil.disk_usage(out.parent).free
    if needed > free:
        raise StorageError(f"{out}: needs {needed} bytes, {free} are free; free space, or pass another --out")
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{out}: {error.strerror or error} while it was written; free space, or pass another --out"
        ) from error


def _write_files(old: Bundle, header: Header, file: BufferedReader, folder: Path, report: Progress) -> None:
    """Writes every file into the staging folder: manifests first, which say what else there is."""
    new: Bundle | None = None
    for count, entry in enumerate(header.files):
        report("apply", count, len(header.files))
        if entry.path not in MANIFESTS:
            new = new or _begun(old, folder)
            _check_listed(new, entry, header)
            if entry.path in new.left_out:
                file.seek(entry.stored_bytes, os.SEEK_CUR)
                continue
        _rebuild(old, entry, file, folder)
    _copy_kept(old, new or _begun(old, folder), folder, report)


def _begun(old: Bundle, folder: Path) -> Bundle:
    """The newer bundle, whose manifests are there by now; a part of it where the older one is a part."""
    if old.left_out:
        write_part(folder, old.manifest.artifacts)
    return read_bundle(folder)


def _check_listed(new: Bundle, entry: Entry, header: Header) -> None:
    listed = new.listed.get(entry.path)
    if listed != entry.sha256 and (listed is not None or entry.path not in SIGNATURE_FILES):
        raise ArtifactError(f"{entry.path}: no file of {header.target}; {AGAIN}")


def _copy_kept(old: Bundle, new: Bundle, folder: Path, report: Progress) -> None:
    """Copies what the delta does not hold."""
    listed = new.listed
    kept = [name for name in listed if name not in new.left_out and not (folder / name).exists()]
    sources = {digest: name for name, digest in old.listed.items() if name not in old.left_out}
    for count, name in enumerate(kept):
        report("copy", count, len(kept))
        source = sources.get(listed[name])
        if source is None:
            raise ArtifactError(f"{name}: neither in the delta nor in {old.path}; {AGAIN}")
        shutil.copyfile(old.path / source, _place(folder, name))


def _place(folder: Path, name: str) -> Path:
    """The path of a file in the staging folder, its folders made."""
    place = folder / name
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ArtifactError(f"{name}: lies in what is a file; {AGAIN}") from None
    if place.exists():
        raise ArtifactError(f"{name}: is a folder, too; {AGAIN}")
    return place


def _rebuild(old: Bundle, entry: Entry, file: BufferedReader, folder: Path) -> None:
    """Writes one file of the delta, and checks its digest."""
    base = np.zeros(0, np.uint8)
    if entry.base:
        if entry.base in old.left_out:
            raise ArtifactError(
                f"{entry.path}: against {entry.base}, which {old.path} leaves out; pull the newer release"
            )
        if entry.base not in MANIFESTS and entry.base not in old.listed:
            raise ArtifactError(
                f"{entry.path}: against {entry.base}, which {old.path} does not list; {AGAIN}"
            )
        if file_sha256(old.path / entry.base) != entry.base_sha256:
            raise ArtifactError(f"{old.path}: {entry.base} is altered; pull the bundle again")
        base = mapped(old.path / entry.base)
    place = _place(folder, entry.path)
    with place.open("wb") as out:
        rebuild(file, entry, base, out)
    place.chmod(0o644)
    if file_sha256(place) != entry.sha256:
        raise ArtifactError(f"{entry.path}: the delta does not give the file that it says; {AGAIN}")


def _checked(folder: Path, header: Header) -> Bundle:
    """The bundle in the staging folder, each file what the manifests say."""
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    folder.chmod(0o755)
    made = read_bundle(folder)
    problems = verify_files(made)
    if problems:
        raise ArtifactError(f"{problems[0]}; {AGAIN}")
    if side_of(made) != header.target:
        raise ArtifactError(f"it gives {side_of(made)}, and says {header.target}; {AGAIN}")
    return made
