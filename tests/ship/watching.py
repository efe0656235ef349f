"""What a command did beside its answer: the writes that Python makes, and what stands in a folder."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Events of the interpreter that change a file system, and which of their arguments are paths.
_CHANGES = {
    **dict.fromkeys(
        ("os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod", "os.chown", "os.utime"), (0,)
    ),
    **dict.fromkeys(("os.rename", "os.link"), (0, 1)),
    "os.symlink": (1,),
}
_FOLDERS = {"os.mkdir": (2,), "os.remove": (1,), "os.rmdir": (1,), "os.rename": (2, 3), "os.link": (2, 3)}


class Watch:
    """Notes the writes of this process outside of where it may, while it is asked to."""

    def __init__(self) -> None:
        self._allowed: tuple[str, ...] | None = None
        self.outside: list[str] = []
        sys.addaudithook(self._hear)

    @contextmanager
    def over(self, *allowed: Path) -> Iterator[None]:
        """While it lasts, writes outside of these folders are noted."""
        self.outside, self._allowed = [], tuple(os.path.realpath(each) for each in allowed)
        try:
            yield
        finally:
            self._allowed = None

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._allowed is None:
            return
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING:
            self._note(event, arguments[0], None)
        elif event in _CHANGES:
            folders = _FOLDERS.get(event, ())
            for number, place in enumerate(_CHANGES[event]):
                where = arguments[folders[number]] if number < len(folders) else None
                self._note(event, arguments[place], where)

    def _note(self, event: str, path: Any, folder: Any) -> None:
        if isinstance(path, int) or path is None:
            return
        name = os.fsdecode(path)
        if isinstance(folder, int) and folder >= 0 and not name.startswith("/"):
            name = f"{Path(f'/proc/self/fd/{folder}').readlink()}/{name}"
        path = Path(name)  # an open follows a link; what else there is changes the name itself
        place = os.path.realpath(path if event == "open" else path.parent)
        place = place if event == "open" else f"{place}/{path.name}"
        if place != os.devnull and not any(
            f"{place}/".startswith(f"{each}/") for each in self._allowed or ()
        ):
            self.outside.append(f"{event} {place}")


def content(folder: Path, *, without: str = "") -> dict[str, str]:
    """What stands below a folder: each file by its sha256, anything else by its kind.

    Args:
        folder: may be a file, or absent.
        without: the name of a folder in it that does not count.
    """
    found: dict[str, str] = {}
    for name, path in _below(folder):
        if without and (name == without or name.startswith(f"{without}/")):
            continue
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            found[name] = f"link to {path.readlink()}"
        elif stat.S_ISREG(mode):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif not stat.S_ISDIR(mode):
            found[name] = "special"
    return found


def stamps(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Kind and mode, size and time of all that stands below a folder, which any write changes."""
    found = ((name, path.lstat()) for name, path in _below(folder))
    return {name: (each.st_mode, each.st_size, each.st_mtime_ns) for name, each in found}


def _below(folder: Path) -> Iterator[tuple[str, Path]]:
    """All that stands below a folder, with names that are text; the thing itself where it is no folder."""
    if folder.is_symlink() or not folder.is_dir():
        if folder.is_symlink() or folder.exists():
            yield ".", folder
        return
    for place, folders, names in os.walk(folder):
        for each in (*folders, *names):
            path = Path(place) / each
            yield os.fsencode(path.relative_to(folder)).decode("utf-8", "backslashreplace"), path
