"""Texts that a command writes beside what it prints: whole or not at all, and never over what it reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pocketrec.errors import UsageError


def check_place(path: Path | None, option: str, read: Sequence[Path]) -> None:
    """Checks that a text can be written there; UsageError for a folder, or a place in one that is read."""
    if path is None:
        return
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else "has no folder"
        raise UsageError(f"{option} {path}: {what}; pass the path of a file to write")
    for each in read:
        if path.resolve().is_relative_to(each.resolve()):
            raise UsageError(f"{option} {path}: is {each} or lies in it, which is read; pass another path")


def write_text(path: Path, text: str) -> None:
    """Writes the text, over what was there; raises StorageError where there is no room."""
    from pocketrec.files import whole_or_nothing

    with whole_or_nothing(path) as partial:
        partial.write_text(text, encoding="utf-8")
