"""Staging and publishing: a bundle is written beside its place and renamed at the end.

A kill at any moment leaves the old bundle, the new one or none, and at most a hidden folder
beside it, which the next build removes.
"""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pocketrec.errors import UsageError
from pocketrec.package.manifest import MANIFEST, SUMS


@contextmanager
def staging(destination: Path) -> Iterator[Path]:
    """An empty hidden folder beside `destination`, removed at the end unless it was published.

    Raises:
        UsageError: `destination` is there and is no bundle, or its parent cannot be written.
    """
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with _alone_in(destination.parent):
            check_destination(destination)
            remove_stale(destination)
            folder = Path(tempfile.mkdtemp(prefix=_prefix(destination), dir=destination.parent))
            lock = _lock(folder)
    except OSError as error:
        raise UsageError(f"{destination}: cannot be written ({error.strerror}); pass another --out") from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def publish(folder: Path, destination: Path) -> Path:
    """`destination`, now holding what the sealed staging folder held; an older bundle is replaced."""
    with _alone_in(destination.parent):
        return _replaced(folder, destination)


def _replaced(folder: Path, destination: Path) -> Path:
    check_destination(destination)
    if not destination.exists():
        folder.rename(destination)
        return destination
    old = Path(tempfile.mkdtemp(prefix=_prefix(destination), dir=destination.parent))
    try:
        destination.rename(old)  # a rename onto an empty folder replaces it
        folder.rename(destination)
    finally:
        if not destination.exists() and (old / MANIFEST).exists():
            old.rename(destination)
        shutil.rmtree(old, ignore_errors=True)
    return destination


def check_destination(destination: Path) -> None:
    """Nothing where a bundle may be put at `destination`; UsageError rather than replace anything else."""
    if destination.name in ("", ".."):
        raise UsageError(f"{str(destination)!r} names no folder; pass another --out, such as build/mine")
    try:
        linked, there = destination.is_symlink(), destination.exists()
    except OSError as error:
        raise UsageError(f"{str(destination)!r} cannot be a path ({error}); pass another --out") from None
    if linked:
        raise UsageError(f"{destination}: a link; pass the folder itself")
    if not there:
        return
    if not destination.is_dir():
        raise UsageError(f"{destination}: a file is there; pass another --out, or remove it")
    if any(destination.iterdir()) and not (
        (destination / MANIFEST).is_file() and (destination / SUMS).is_file()
    ):
        raise UsageError(f"{destination}: not empty and no bundle; pass another --out, or remove it")


def remove_stale(destination: Path) -> None:
    """Nothing; hidden folders that killed builds of `destination` left are removed, live ones stay."""
    for left in destination.parent.glob(f"{glob.escape(_prefix(destination))}*"):
        try:
            os.close(_lock(left))
        except OSError:
            continue  # another build holds it
        shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _alone_in(parent: Path) -> Iterator[None]:
    """Nothing; while it lasts no other build makes, removes or renames folders in `parent`."""
    descriptor = os.open(parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _prefix(destination: Path) -> str:
    return f".{destination.name}.staging-"


def _lock(folder: Path) -> int:
    """A descriptor that holds the folder's lock; the kernel lets go of it when the process ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
