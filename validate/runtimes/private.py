"""A package for a loader that writes into what it reads: a private copy, weights linked where they can be."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from pocketrec.errors import ArtifactError, StorageError
from pocketrec.outside import require_file

_LINKED = frozenset({".bin"})  # large, and never written to by a loader


class PrivateCopy:
    """A copy of a package, or of a lone model file, in a folder of its own.

    Attributes:
        path: of the copy, under the original's name.

    Raises:
        ArtifactError: something in it is no regular file; names it.
        StorageError: there is no room for the copy.
    """

    def __init__(self, original: Path) -> None:
        self._folder = TemporaryDirectory(prefix="pocketrec-")
        self.path = Path(self._folder.name) / original.name
        try:
            if original.is_dir():
                _copy_folder(original, self.path)
            else:
                _copy(original, self.path)
        except OSError as error:
            self.close()
            raise StorageError(
                f"{original.name}: {error.strerror or error} while it was copied to {self._folder.name}; "
                "free space, or set TMPDIR to another folder"
            ) from error
        except ArtifactError:
            self.close()
            raise

    def close(self) -> None:
        """Removes the copy; a second call does nothing."""
        self._folder.cleanup()


def _copy_folder(original: Path, goal: Path) -> None:
    goal.mkdir()
    for each in sorted(original.iterdir()):
        place = goal / each.name
        if each.is_dir() and not each.is_symlink():
            _copy_folder(each, place)
        else:
            _copy(each, place)


def _copy(file: Path, goal: Path) -> None:
    """The file under another name: a second name of the same bytes for weights, else a copy."""
    found = require_file(file).resolve()
    if file.suffix in _LINKED:
        try:
            os.link(found, goal)
        except OSError:  # on another disk, or one without links
            pass
        else:
            return
    shutil.copyfile(found, goal)
