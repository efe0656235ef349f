"""Compiled models, kept in the user's cache folder by what they are of, so that each is compiled once.

    <cache>/pocketrec/compiled/<key>/model.mlmodelc, sha256

The key is the digest of the package's bytes, of the macOS and of the coremltools that compiled it. An entry
appears whole by a rename; of two processes that make one at once, the second keeps the first's. One that is
not what was kept is thrown away. The least recently used go once there are more than `_MOST`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import mkdtemp

from pocketrec.errors import PocketrecError
from pocketrec.kept import key_of, path_sha256
from pocketrec.outside import read_text

_MODEL, _DIGEST = "model.mlmodelc", "sha256"
_MOST = 32


def cache_folder() -> Path:
    """Where the platform keeps what can be made again: `<cache>/pocketrec/compiled`."""
    default = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return Path(os.environ.get("XDG_CACHE_HOME") or default) / "pocketrec" / "compiled"


class CompiledModels:
    """The compiled models in a folder, which is made when there is one to keep.

    Args:
        folder: of all of them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def key(self, package: Path, by: Sequence[str]) -> str:
        """The key of a package's compiled form.

        Args:
            package: its path.
            by: versions of what compiles it.
        """
        return key_of(package=path_sha256(package), by=list(by))

    def find(self, key: str) -> Path | None:
        """The compiled model; None where there is none, or only one that is not what was kept."""
        entry = self._folder / key
        if not entry.is_dir():
            return None
        try:
            whole = read_text(entry / _DIGEST).strip() == path_sha256(entry / _MODEL)
        except (PocketrecError, OSError):
            whole = False
        if not whole:
            self.discard(key)
            return None
        with suppress(OSError):
            os.utime(entry)
        return entry / _MODEL

    def keep(self, key: str, compiled: Path) -> None:
        """Keeps a copy; where there is no room or no right to write, nothing."""
        made: Path | None = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            made = Path(mkdtemp(prefix=".making-", dir=self._folder))
            copytree(compiled, made / _MODEL)
            (made / _DIGEST).write_text(path_sha256(made / _MODEL), encoding="ascii")
            with suppress(OSError):  # another process was first
                made.rename(self._folder / key)
            self._forget()
        except OSError:
            pass
        finally:
            if made is not None:
                rmtree(made, ignore_errors=True)

    def discard(self, key: str) -> None:
        """Throws an entry away, if there is one."""
        rmtree(self._folder / key, ignore_errors=True)

    def _forget(self) -> None:
        entries = sorted(self._folder.iterdir(), key=lambda each: each.stat().st_mtime)
        for each in entries[:-_MOST]:
            rmtree(each, ignore_errors=True)
