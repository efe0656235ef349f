"""A package's folder as a zip file: the same bytes for the same files."""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path

_EARLIEST = (1980, 1, 1, 0, 0, 0)  # that the format knows
_PIECE = 1 << 20  # bytes copied at a time
_UNIX = 3  # whose modes an entry has


def write_archive(folder: Path, path: Path, *, top: str, left_out: frozenset[str] = frozenset()) -> None:
    """Writes every file below `folder` into a new zip file, sorted, without times and owners.

    Args:
        folder: of plain files.
        path: of the zip file.
        top: the one folder that the zip file holds.
        left_out: names of files that are not taken.
    """
    files = sorted(each for each in folder.rglob("*") if each.is_file() and each.name not in left_out)
    with zipfile.ZipFile(path, "x") as archive:
        for each in files:
            entry = zipfile.ZipInfo(f"{top}/{each.relative_to(folder).as_posix()}", _EARLIEST)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = _UNIX
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.file_size = each.stat().st_size  # by which large ones get the larger header
            with each.open("rb") as file, archive.open(entry, "w") as out:
                shutil.copyfileobj(file, out, _PIECE)
