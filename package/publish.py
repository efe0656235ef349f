"""Staging and publishing: a bundle is written beside its place and takes it at the end.

An older bundle is exchanged for the new one in one step where the system has such a step. Where it has
none, the older one waits under the name `previous` for the moment between two renames; the next build
puts it back if that moment was the last. So a kill leaves the old bundle or the new one, and at most
hidden folders beside it, which the next build removes.
"""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pocketrec.errors import UsageError
from pocketrec.files import alone_in, told_by_system
from pocketrec.files import exchange as _exchange
from pocketrec.package.manifest import MANIFEST, SUMS


@contextmanager
def staging(destination: Path, *others: Path) -> Iterator[Path]:
    """An empty hidden folder beside `destination`, removed at the end unless it was published.

    Args:
        destination: where the bundle will be.
        others: beside it, where it may be published instead.

    Raises:
        UsageError: one of these is there and is no bundle, or their parent cannot be written.
    """
    with workspace(destination, checked=(destination, *others)) as folder:
        yield folder


@contextmanager
def workspace(
    destination: Path, *, checked: tuple[Path, ...] = (), check: Callable[[Path], None] | None = None
) -> Iterator[Path]:
    """An empty hidden folder beside `destination`, removed at the end; those of killed builds are, too.

    Args:
        destination: where the folder's content will be.
        checked: the places where it may be published.
        check: raises where something that must stay is in a place; `check_destination` by default.

    Raises:
        UsageError: something is in one of the places in `checked`, their parent cannot be written, or the
            destination lies in a bundle, which holds nothing but what its manifest lists.
        StorageError: there is no room for what is written meanwhile.
    """
    check_apart(destination)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with alone_in(destination.parent):
            for each in checked:
                _check_name(each)
                _recover(each)
                (check or check_destination)(each)
            _remove_stale(destination)
            folder = Path(tempfile.mkdtemp(prefix=_prefix(destination), dir=destination.parent))
            lock = _lock(folder)
    except OSError as error:
        raise UsageError(f"{destination}: cannot be written ({error.strerror}); pass another --out") from None
    try:
        yield folder
    except OSError as error:
        raise told_by_system(error) or error from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def publish(folder: Path, destination: Path, *, check: Callable[[Path], None] | None = None) -> Path:
    """`destination`, now holding what the staging folder held; an older one that passes is replaced."""
    with alone_in(destination.parent):
        (check or check_destination)(destination)
        if not destination.exists():
            folder.rename(destination)
        elif not _exchange(folder, destination):  # after an exchange the staging folder holds the old one
            _replace(folder, destination)
        return destination


def previous(destination: Path) -> Path:
    """Where an older bundle waits while its place is taken in two steps."""
    return destination.parent / f".{destination.name}.previous"


def _replace(folder: Path, destination: Path) -> None:
    """Replaces the older bundle in two renames; what lies between them `_recover` knows."""
    old = previous(destination)
    shutil.rmtree(old, ignore_errors=True)
    try:
        destination.rename(old)
        folder.rename(destination)
    except BaseException:
        _recover(destination)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _recover(destination: Path) -> None:
    """Puts a bundle back that a killed build had moved out of its place and not replaced."""
    old = previous(destination)
    if old.is_dir() and not old.is_symlink():
        if destination.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(destination)


def check_destination(destination: Path) -> None:
    """Checks that a bundle may be put at `destination`; UsageError rather than replace anything else."""
    _check_name(destination)
    if not destination.exists():
        return
    if not destination.is_dir():
        raise UsageError(f"{destination}: a file is there; pass another --out, or remove it")
    if any(destination.iterdir()) and not (
        (destination / MANIFEST).is_file() and (destination / SUMS).is_file()
    ):
        raise UsageError(f"{destination}: not empty and no bundle; pass another --out, or remove it")


def _check_name(destination: Path) -> None:
    if destination.name in ("", ".."):
        raise UsageError(f"{str(destination)!r} names no folder; pass another --out, such as build/mine")
    try:
        linked = destination.is_symlink()
    except (OSError, ValueError) as error:
        raise UsageError(f"{str(destination)!r} cannot be a path ({error}); pass another --out") from None
    if linked:
        raise UsageError(f"{destination}: a link; pass the folder itself")


def check_apart(destination: Path) -> None:
    """Checks that a destination lies in no bundle; UsageError names the bundle."""
    _check_name(destination)
    for folder in destination.absolute().resolve().parents:
        if (folder / MANIFEST).is_file() and (folder / SUMS).is_file():
            raise UsageError(
                f"{destination}: lies in the bundle {folder}, which would hold more than its manifest lists; "
                "pass another --out"
            )


def _remove_stale(destination: Path) -> None:
    """Removes the hidden folders that killed builds of `destination` left; live ones stay."""
    for left in destination.parent.glob(f"{glob.escape(_prefix(destination))}*"):
        try:
            os.close(_lock(left))
        except OSError:
            continue  # another build holds it
        shutil.rmtree(left, ignore_errors=True)


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
