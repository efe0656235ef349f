"""Finished parts of long work, kept in files, so that work that was killed goes on where it was.

    key of the work ─▶ a folder of that name ─▶ a file per span: digest, names, arrays ─▶ the same rows

A key is the digest of everything that decides a part, so a part that is found is the part that would be
computed. Files appear whole, under names that no other process uses meanwhile; one that was cut or edited
is computed again. Only the process that asked for the work writes; workers need not see the folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from shutil import rmtree
from tempfile import mkstemp
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ArtifactError, PocketrecError, StorageError
from pocketrec.outside import exists, open_file, read_file

Rows = Mapping[str, npt.NDArray[Any]]  # arrays whose first axis runs over the rows of a span
Span = tuple[int, int]  # first row and end

PARTIAL = ".partial-"  # how names of files begin that are not whole yet
_LARGEST = 1 << 32  # bytes of a part; one of the evaluation has about 2 MB
_DIGEST = hashlib.sha256().digest_size


class Parts:
    """The finished parts in a folder, which is made when there is one to keep.

    Args:
        folder: of all parts; those of a key lie in a folder of its name.

    Attributes:
        reused: how many were found and used.
        computed: how many were computed and kept.
        damaged: files of parts that were there, cut or edited, and were computed again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reused = self.computed = 0
        self.damaged: list[Path] = []
        self._keys: set[str] = set()

    def complete(
        self, key: str, spans: Sequence[Span], compute: Callable[[Sequence[Span]], Iterator[Rows]]
    ) -> Iterator[Rows]:
        """The rows of every span, in order; each that has to be computed is kept before the next is given.

        Args:
            key: of everything that decides the rows, as `key_of` gives it.
            spans: of all the work.
            compute: gives the rows of some of the spans, in order.

        Raises:
            StorageError: a part cannot be kept.
        """
        self._keys.add(key)
        lacking = [each for each in spans if self._read(key, each) is None]
        self.damaged += [place for each in lacking if exists(place := self._place(key, each))]
        made, waiting = compute(lacking), set(lacking)
        for span in spans:
            rows = None if span in waiting else self._read(key, span)
            if rows is not None:
                self.reused += 1
                yield rows
                continue
            # A part that was there a moment ago may have been removed by another process.
            rows = next(made) if span in waiting else next(compute([span]))
            self._write(self._place(key, span), rows)
            self.computed += 1
            yield rows

    def known(self, key: str, spans: Sequence[Span]) -> int:
        """How many of the spans have a file; it is not read."""
        return sum(exists(self._place(key, each)) for each in spans)

    @contextmanager
    def told(self) -> Iterator[None]:
        """While it lasts, an interrupt says that finished parts are kept, and what goes on with them."""
        try:
            yield
        except KeyboardInterrupt as signal:
            if self.folder.exists():
                signal.add_note(
                    f"finished parts are kept in {self.folder}; the same command goes on from there"
                )
            raise

    def remove(self, *, others: bool = False) -> None:
        """Removes the parts of all work that was asked for, and the folder where nothing else is in it.

        Args:
            others: whether parts of other work go, too, as the folder is for one result and that is there.
        """
        for key in self._keys:
            rmtree(self.folder / key, ignore_errors=True)
        if others:
            rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):
            self.folder.rmdir()

    def _place(self, key: str, span: Span) -> Path:
        return self.folder / key / f"{span[0]}-{span[1]}.part"

    def _read(self, key: str, span: Span) -> Rows | None:
        """The part; None where there is none, or not the one that was written."""
        body = read_checked(self._place(key, span))
        if body is None:
            return None
        stream = BytesIO(body)
        names = json.loads(stream.readline())
        return {name: np.load(stream, allow_pickle=False) for name in names}

    def _write(self, place: Path, rows: Rows) -> None:
        stream = BytesIO()
        stream.write(json.dumps(list(rows)).encode() + b"\n")
        for array in rows.values():
            np.save(stream, array, allow_pickle=False)
        try:
            write_checked(place, stream.getbuffer())
        except OSError as error:
            raise StorageError(
                f"{place}: {os.strerror(error.errno or 0)}; finished parts are kept in {self.folder}: free "
                "space, or name another folder with --parts"
            ) from error


def read_checked(place: Path) -> memoryview | None:
    """What `write_checked` wrote there; None where nothing is, or not what was written."""
    try:
        data = read_file(place, largest=_LARGEST)
    except PocketrecError:
        return None
    body = memoryview(data)[_DIGEST:]
    return body if hashlib.sha256(body).digest() == data[:_DIGEST] else None


def write_checked(place: Path, body: bytes | memoryview) -> None:
    """Writes a file of a digest and what it is of, whole, under a name of its own, then gives it its name.

    Another process that is done may remove the folder meanwhile; it is then made once more. Raises OSError.
    """
    for last in (False, True):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            number, name = mkstemp(dir=place.parent, prefix=PARTIAL)
            try:
                with os.fdopen(number, "wb") as file:
                    with suppress(OSError):  # shares that lock no files
                        fcntl.flock(number, fcntl.LOCK_EX)  # so that it is not taken for a killed process's
                    file.writelines((hashlib.sha256(body).digest(), body))
                    file.flush()
                    Path(name).replace(place)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except FileNotFoundError:
            if last:
                raise
        else:
            return


def key_of(**facts: object) -> str:
    """The digest of everything that decides a part, by name: texts, numbers, lists and tables of such."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def path_sha256(path: Path) -> str:
    """The digest of a file's bytes; of a folder's, those of all files in it with their names."""
    if path.is_dir():
        inner = sorted(each for each in path.rglob("*") if not each.is_dir())
        return key_of(files=[(str(each.relative_to(path)), path_sha256(each)) for each in inner])
    with open_file(path, error=ArtifactError) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def with_data(path: Path) -> tuple[Path, ...]:
    """An artifact, and the file beside it that holds its large tensors, where there is one."""
    data = path.with_name(f"{path.name}.data")
    return (path, data) if exists(data) else (path,)


def arrays_sha256(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """The digest of arrays by name: their types, sizes and numbers."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
    return digest.hexdigest()
