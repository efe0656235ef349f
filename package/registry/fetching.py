"""Fetches blobs into a folder that stays until all are there, so that a pull that broke off goes on.

<hex>       a blob that was compared with its digest; it is again before it is used
<hex>.part  the beginning of one, which is gone on with where the place can begin in the middle
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pocketrec.errors import PocketrecError, StorageError, UsageError
from pocketrec.outside import exists, open_file
from pocketrec.package.manifest import file_sha256
from pocketrec.package.registry.image import Descriptor
from pocketrec.package.registry.jobs import run_jobs, until
from pocketrec.package.registry.store import PIECE, Store, check_blob
from pocketrec.progress import Progress


@dataclass(slots=True, kw_only=True)
class Fetched:
    """What fetching did.

    Attributes:
        fetched: blobs that came whole or in part.
        kept: blobs that were there from a pull that broke off.
        copied: blobs that an older release at the same place had.
        went_on: bytes of blobs that were begun before.
    """

    fetched: int = 0
    kept: int = 0
    copied: int = 0
    went_on: int = 0


@contextmanager
def fetching_folder(out: Path) -> Iterator[Path]:
    """The folder beside `out` where blobs wait; it goes when all went well.

    Raises:
        UsageError: another pull to the same place is running, or the folder cannot be made.
    """
    folder = out.parent / f".{out.name}.pulling"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
    except OSError as error:
        raise UsageError(f"{out}: cannot be written ({error.strerror}); pass another --out") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise UsageError(f"{out}: another pull writes there; wait for it, or pass another --out") from None
    try:
        yield folder
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        with suppress(OSError):  # where nothing is kept
            folder.rmdir()
        os.close(lock)


def fetch(
    store: Store,
    blobs: Iterable[Descriptor],
    folder: Path,
    older: Mapping[str, Path],
    progress: Progress,
    where: str,
) -> Fetched:
    """How blobs came to be in the folder, each under the hex of its digest, checked.

    Args:
        store: where they come from.
        blobs: with their digests and sizes.
        folder: see `fetching_folder`.
        older: files of this machine by the digest that they ought to have.
        progress: told how many bytes are there.
        where: of the place, for messages.

    Raises:
        ArtifactError: what came is not what was pushed.
        RegistryError: the place broke off; what came is kept.
        StorageError: there is no room for it.
    """
    found, missing = Fetched(), []
    for blob in {each.digest: each for each in blobs}.values():
        if _is_kept(folder, blob):
            found.kept += 1
        elif _copied(folder, blob, older.get(blob.digest)):
            found.copied += 1
        else:
            missing.append(blob)
    total = sum(each.size for each in missing)
    found.went_on = sum(_begun(folder, each) for each in missing)
    found.fetched = len(missing)
    begun = store.traffic.received - found.went_on
    jobs = [partial(_fetch, store, blob, folder, where) for blob in missing]
    run_jobs(
        jobs,
        lambda: progress("pull", min(store.traffic.received - begun, total), total),
        lambda: store.traffic.received,
    )
    return found


def path_of(folder: Path, blob: Descriptor) -> Path:
    """Where a blob is once it was fetched."""
    return folder / blob.digest.removeprefix("sha256:")


def _fetch(store: Store, blob: Descriptor, folder: Path, where: str, stop: threading.Event) -> None:
    part = path_of(folder, blob).with_suffix(".part")
    try:
        with store.blob(blob.digest, _begun(folder, blob)) as (start, pieces):
            size, sha256 = _write(part, blob, start, until(stop, pieces))
        try:
            check_blob(blob, size, sha256, where)
        except PocketrecError:
            if size >= blob.size:  # else it was cut, and what is there is a beginning
                part.unlink()
            raise
        part.rename(path_of(folder, blob))
    except OSError as error:
        raise StorageError(
            f"{folder.parent}: {os.strerror(error.errno or 0)}; free {blob.size} bytes or pass another --out "
            "and run it again: what was fetched is kept"
        ) from None


def _write(part: Path, blob: Descriptor, start: int, pieces: Iterator[bytes]) -> tuple[int, str]:
    """Bytes and digest of a blob's file, of which the first `start` bytes were there."""
    sha256, size = hashlib.sha256(), start
    with part.open("r+b" if start else "wb") as file:
        left = start
        while left and (piece := file.read(min(PIECE, left))):
            sha256.update(piece)
            left -= len(piece)
        file.truncate()
        for piece in pieces:
            size += len(piece)
            if size > blob.size:
                break
            file.write(piece)
            sha256.update(piece)
    return size, sha256.hexdigest()


def _begun(folder: Path, blob: Descriptor) -> int:
    """How many bytes of a blob are there; 0 where there is none, or more than it has."""
    part = path_of(folder, blob).with_suffix(".part")
    if part.is_symlink() or not part.is_file():
        return 0
    size = part.stat().st_size
    return size if size < blob.size else 0


def _is_kept(folder: Path, blob: Descriptor) -> bool:
    path = path_of(folder, blob)
    return not path.is_symlink() and path.is_file() and f"sha256:{file_sha256(path)}" == blob.digest


def _copied(folder: Path, blob: Descriptor, source: Path | None) -> bool:
    """Whether a file of this machine was what its digest says, and is in the folder now."""
    if source is None or source.is_symlink() or not exists(source) or source.stat().st_size != blob.size:
        return False
    copy = path_of(folder, blob).with_suffix(".copy")
    try:
        with open_file(source) as file, copy.open("wb") as out:
            shutil.copyfileobj(file, out, PIECE)
        if f"sha256:{file_sha256(copy)}" != blob.digest:
            copy.unlink()
            return False
        copy.rename(path_of(folder, blob))
    except OSError as error:
        copy.unlink(missing_ok=True)
        raise StorageError(
            f"{folder.parent}: {error.strerror}; free {blob.size} bytes, or pass another --out"
        ) from None
    return True
