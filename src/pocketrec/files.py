"""Files that are there whole or not at all, with room made before the work begins."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import glob
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketrec.errors import PocketrecError, StorageError, UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

# The system call that exchanges two names, by the C library's name for it: Linux's, then macOS's.
_AT_FDCWD, _RENAME_EXCHANGE, _RENAME_SWAP = -100, 2, 2
_ROOM = "free space, or write to another folder"
_REMEDIES = {errno.EFBIG: "raise the limit", errno.ENOSPC: _ROOM, errno.EDQUOT: _ROOM}
# What a machine says of itself, which is no defect of ours wherever it comes up.
_FULL_OR_BROKEN = {
    **_REMEDIES,
    errno.EIO: "check the disk, or copy the file to another",
    errno.ESTALE: "check that the share is there, and run it again",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close other programs, and run it again",
}
_CLOSED = {
    errno.EACCES: "check its permissions, or pass another path",
    errno.EPERM: "check its permissions, or pass another path",
    errno.EROFS: "pass a path that can be written to",
    errno.ENAMETOOLONG: "pass a shorter name",
    errno.ELOOP: "pass the file or folder itself",
}


def check_place(path: Path | None, option: str = "", read: Sequence[Path] = ()) -> None:
    """Checks, before the work begins, that a file can be written there in the place of nothing or of a file.

    Args:
        path: of the file; None where none is asked for.
        option: which named it, for the message.
        read: files and folders that the work reads, in which nothing is written.

    Raises:
        UsageError: it has no folder, or one that cannot be written to; a folder, a device or a FIFO is there;
            or it is, or lies in, what is read.
    """
    if path is None:
        return
    named = f"{option} {path}".strip()
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{named}: there is no folder {path.parent}; make it, or name another file")
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    except (OSError, ValueError) as error:
        raise UsageError(f"{named}: cannot be written ({_line(error)}); name another file") from None
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise UsageError(f"{named}: is {what}; name a file")
    check_outside(path, named, read)
    folder = Path(os.path.realpath(path)).parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{named}: {folder} cannot be written to; name a file in another folder")


def check_outside(path: Path, named: str, read: Sequence[Path]) -> None:
    """Checks that a file or folder neither is nor lies in what the work reads; UsageError where it does."""
    for each in read:
        if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(each)):
            raise UsageError(f"{named}: is {each} or lies in it, which is read; pass another path")


@contextmanager
def whole_or_nothing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; what is there at the end becomes `path`, after an error nothing does.

    A process that is killed leaves the other name behind; the next run removes it.
    """
    partial = partial_of(path)
    try:
        _remove(partial)
        yield partial
        if partial.is_dir() and path.is_dir():
            _take_place(partial, path)
        else:
            partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            _remove(partial)
        raise _storage(path, error) from error
    except BaseException:
        _remove(partial)
        raise


def partial_of(path: Path) -> Path:
    """Where `whole_or_nothing` writes what becomes `path`; a kill leaves it there."""
    return path.with_name(f".partial-{path.name}")  # coremltools insists on the ending


def _take_place(folder: Path, other: Path) -> None:
    """Puts a folder in the place of another, in one step where the system has such a step."""
    if exchange(folder, other):
        shutil.rmtree(folder)
    else:
        shutil.rmtree(other)
        folder.replace(other)


def exchange(one: Path, other: Path) -> bool:
    """Exchanges two folders in one step; False where the system or the file system cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if hasattr(library, "renameat2"):
        done = library.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    elif hasattr(library, "renamex_np"):
        done = library.renamex_np(*names, _RENAME_SWAP)
    else:
        return False
    return bool(done == 0)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """As `whole_or_nothing`, of a file that several processes may write at once: the last one's stays.

    Each writes under a name of its own and holds a lock on it; names that nobody holds were left behind by
    processes that were killed, and go.
    """
    try:
        _remove_left(path)
        number, name = tempfile.mkstemp(prefix=_left(path), dir=path.parent)
        partial = Path(name)
        try:
            fcntl.flock(number, fcntl.LOCK_EX)
            yield partial
            partial.chmod(0o666 & ~_umask())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
            os.close(number)
    except OSError as error:
        raise _storage(path, error) from error


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to fill under a name of its own, which at the end becomes `path`.

    Where an empty folder is there, which may be a mount or where somebody's shell is, it stays, and all that
    was made moves into it. After an error, or a process that was faster, nothing is there that was not.

    Raises:
        StorageError: there is no room, or something came to be at `path` meanwhile.
    """
    path = path.absolute()  # "." has no name
    place = path if path.is_dir() else path.parent
    try:
        _remove_left(place / path.name)
        made = Path(tempfile.mkdtemp(prefix=_left(path), dir=place))
        number = os.open(made, os.O_RDONLY)
        try:
            with suppress(OSError):  # shares that lock no folders: there nothing is removed, either
                fcntl.flock(number, fcntl.LOCK_EX)
            made.chmod(0o777 & ~_umask())
            yield made
            if place == path:
                _move_into(made, path)
            else:
                made.rename(path)
        finally:
            os.close(number)
            if made.is_dir():
                shutil.rmtree(made)
    except OSError as error:
        raise _storage(path, error) from error


def is_free(folder: Path) -> bool:
    """Whether a folder holds nothing but what a killed `whole_folder` left there."""
    return all(each.name.startswith(_left(folder.absolute())) for each in folder.iterdir())


def _move_into(made: Path, folder: Path) -> None:
    """Moves all of a folder into another, or none of it."""
    moved: list[Path] = []
    try:
        for each in sorted(made.iterdir()):
            goal = folder / each.name
            if os.path.lexists(goal):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(goal))
            each.rename(goal)
            moved.append(goal)
    except BaseException:
        for each in moved:
            _remove(each)
        raise


def _left(path: Path) -> str:
    return f".partial-{path.name}-"


@contextmanager
def alone_in(place: Path) -> Iterator[None]:
    """While it lasts, nobody else who asks is in a folder, or at a file, that is there: they wait.

    The kernel lets go of it when the process ends, however it does.
    """
    number = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def _remove_left(path: Path) -> None:
    """Removes what processes that were killed left beside a path."""
    remove_left(path.parent, f"{glob.escape(_left(path))}*")


def remove_left(folder: Path, pattern: str) -> None:
    """Removes what processes that were killed left in a folder; what is locked is still written."""
    for each in folder.glob(pattern):
        with suppress(OSError):
            number = os.open(each, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(each)
            finally:
                os.close(number)


def _umask() -> int:
    """The process's mask of permissions, which can be read only by setting it."""
    found = os.umask(0o077)
    os.umask(found)
    return found


@contextmanager
def files_or_nothing(path: Path) -> Iterator[Path]:
    """A name to write to in a folder of its own; what is there at the end moves to `path`'s, `path` last."""
    folder = path.with_name(f".partial-{path.name}")
    try:
        _remove(folder)
        folder.mkdir()
        yield folder / path.name
        for each in sorted(folder.iterdir(), key=lambda each: each.name == path.name):
            each.replace(path.with_name(each.name))
    except OSError as error:
        raise _storage(path, error) from error
    finally:
        with suppress(OSError):
            _remove(folder)


@contextmanager
def written_file(path: Path, size_bytes: int) -> Iterator[int]:
    """The descriptor of a file of that size, open for writing at any place.

    Raises:
        StorageError: there is no room for it; found before anything is written.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        if size_bytes:
            os.posix_fallocate(file, 0, size_bytes)
        yield file
    except OSError as error:
        raise _storage(path, error, size_bytes) from error
    finally:
        os.close(file)


def write_all(file: int, data: bytes | memoryview | npt.NDArray[Any], offset: int) -> None:
    """Writes all of `data` at `offset`; one call may write less than it is given."""
    view = memoryview(data if isinstance(data, bytes | memoryview) else data.data).cast("B")
    while len(view):
        done = os.pwrite(file, view, offset)
        view, offset = view[done:], offset + done


def told_by_system(error: OSError) -> PocketrecError | None:
    """What an error of the system means for who called; None for one that only a defect brings about."""
    number, name = error.errno or 0, error.filename
    named = f"{os.fsdecode(name)}: " if isinstance(name, str | bytes) else ""
    if number in _CLOSED:
        return UsageError(f"{named}{os.strerror(number)}; {_CLOSED[number]}")
    if number in _FULL_OR_BROKEN:
        return StorageError(f"{named}{os.strerror(number)}; {_FULL_OR_BROKEN[number]}")
    return None


def _storage(path: Path, error: OSError, size_bytes: int = 0) -> StorageError:
    needed = f"; the file needs {size_bytes} bytes" if size_bytes else ""
    remedy = _REMEDIES.get(error.errno or 0, "write to another folder")
    return StorageError(f"{path.name}: {os.strerror(error.errno or 0)} in {path.parent}{needed}; {remedy}")


def _line(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or " ".join(str(error).split())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
