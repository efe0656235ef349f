"""Files from outside: the one place that opens them, so that nothing is waited for and nothing is endless.

A FIFO, a socket, a device or a folder in place of a file is an error before the first byte is read, and
so is a file larger than any real one. Names that a file gives of others stay in its folder.
"""

from __future__ import annotations

import json
import os
import stat
import tomllib
from io import BufferedReader
from pathlib import Path
from typing import Any

from pocketrec.errors import ArtifactError, PocketrecError

LARGEST_TEXT = 16 << 20  # bytes of a manifest, a contract, a recipe: far above any real one
LARGEST_PROGRAM = (2 << 30) - 1  # bytes of a protobuf message, by its own definition
_REMEDY = "pass or pull another"
_LONGEST_NAME = 1024  # characters of a file's name within a file; systems allow 255 a part
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}

Kind = type[PocketrecError]


def open_file(
    path: Path, *, largest: int | None = None, error: Kind = ArtifactError, remedy: str = _REMEDY
) -> BufferedReader:
    """The regular file at `path`, opened for reading.

    Args:
        path: of the file; a link to a regular file is one.
        largest: how many bytes it may have; None where it is mapped or read in pieces.
        error: what is raised.
        remedy: what to do about it, for the message.

    Raises:
        error: there is no such file, it cannot be read, is no regular file, or is larger than that.
    """
    require_file(path, largest=largest, error=error, remedy=remedy)
    try:
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except OSError as reason:
        raise error(f"{_shown(path)}: cannot be read ({reason.strerror}); check its permissions") from None
    try:  # once more, of what was opened: the name may have changed hands
        _check(path, os.fstat(file.fileno()), largest, error, remedy)
    except PocketrecError:
        file.close()
        raise
    return file


def require_file(
    path: Path, *, largest: int | None = None, error: Kind = ArtifactError, remedy: str = _REMEDY
) -> Path:
    """The path of a regular file, for a library that opens it by its name; raises as `open_file` does."""
    try:
        found = path.stat()
    except (OSError, ValueError) as reason:
        raise error(f"{_shown(path)}: {_why(reason)}; {remedy}") from None
    _check(path, found, largest, error, remedy)
    return path


def require_folder(path: Path, *, error: Kind = ArtifactError) -> Path:
    """The path of a folder; raises `error` where there is none, a circle of links among them."""
    try:
        folder = stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError) as reason:
        raise error(f"{_shown(path)}: {_why(reason)}; expected a folder") from None
    if not folder:
        raise error(f"{_shown(path)}: no folder; expected one")
    return path


def exists(path: Path) -> bool:
    """True where something is at `path`; False too for what cannot be a path, such as one with a NUL."""
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def read_file(
    path: Path, *, largest: int = LARGEST_TEXT, error: Kind = ArtifactError, remedy: str = _REMEDY
) -> bytes:
    """The bytes of a regular file of at most `largest` bytes; raises as `open_file` does."""
    with open_file(path, largest=largest, error=error, remedy=remedy) as file:
        try:
            data = file.read(largest + 1)
        except OSError as reason:
            raise error(f"{_shown(path)}: cannot be read ({reason.strerror}); copy it again") from None
    if len(data) > largest:  # it grew, or says nothing of its size
        raise error(f"{_shown(path)}: more than {largest} bytes; expected fewer")
    return data


def read_text(path: Path, *, error: Kind = ArtifactError, remedy: str = _REMEDY) -> str:
    """The UTF-8 text of a regular file; raises as `open_file` does, and where it is no text."""
    try:
        return read_file(path, error=error, remedy=remedy).decode("utf-8")
    except UnicodeDecodeError as reason:
        what = f"no UTF-8: {reason.reason} at byte {reason.start}"
        raise error(f"{_shown(path)}: cannot be read ({what}); {remedy}") from None


def read_json(path: Path, *, error: Kind = ArtifactError, remedy: str = _REMEDY) -> Any:
    """The value of a JSON file; raises as `read_file` and `parse_json` do."""
    return parse_json(read_file(path, error=error, remedy=remedy), name=_shown(path), error=error)


def parse_json(data: bytes | str, *, name: str, error: Kind = ArtifactError) -> Any:
    """The value of a JSON text, in which every string is one that can be written and printed.

    Raises:
        error: it is no JSON, or a string of it holds half of a surrogate pair, which no encoding has.
    """
    try:
        value = json.loads(data)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise error(f"{name}: a string of it holds half of a surrogate pair; write it as UTF-8") from None
    except (ValueError, RecursionError) as reason:
        raise error(f"{name}: not valid JSON ({reason}); write or pull it again") from None
    return value


def read_toml(path: Path, *, error: Kind = ArtifactError, remedy: str = _REMEDY) -> dict[str, Any]:
    """The table of a TOML file; raises as `read_text` does, and where it is no TOML."""
    text = read_text(path, error=error, remedy=remedy)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as reason:  # ValueError also for a number of 5,000 digits
        raise error(f"{_shown(path)}: not valid TOML: {reason}") from None


def inside(folder: Path, name: str, *, where: str, error: Kind = ArtifactError) -> Path:
    """The path that `name`, which stands in a file called `where`, has in `folder`; links are followed.

    Raises:
        error: the name is empty, absolute, too long, cannot be printed, or leads out of the folder.
    """
    shown = repr(name if len(name) < 80 else f"{name[:76]}...")
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise error(f"{where}: refers to the file {shown}, which is no name of a file; pull it again")
    try:
        root = folder.resolve()
        path = (root / name).resolve()
    except (OSError, ValueError, RuntimeError):  # RuntimeError: a circle of links
        raise error(f"{where}: refers to the file {shown}, which leads nowhere; pull it again") from None
    if not path.is_relative_to(root) or path == root:
        raise error(f"{where}: refers to the file {shown}, which is outside of {root.name}; pull it again")
    return path


def _check(path: Path, found: os.stat_result, largest: int | None, error: Kind, remedy: str) -> None:
    kind = stat.S_IFMT(found.st_mode)
    if kind != stat.S_IFREG:
        what = _KINDS.get(kind, "a special file")
        raise error(f"{_shown(path)}: {what}, expected a regular file; {remedy}")
    if largest is not None and found.st_size > largest:
        raise error(f"{_shown(path)}: {found.st_size} bytes, expected at most {largest}; {remedy}")


def _why(reason: OSError | ValueError) -> str:
    if isinstance(reason, FileNotFoundError | NotADirectoryError):
        return "no such file"
    if isinstance(reason, OSError):
        return f"cannot be read ({reason.strerror})"
    return "cannot be a path"


def _shown(path: Path) -> str:
    text = str(path).encode("utf-8", "backslashreplace").decode()
    return text if len(text) < 300 else f"{text[:140]}...{text[-140:]}"
