"""Texts that a command writes beside what it prints: whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def whole_text(path: Path) -> Iterator[TextIO]:
    """A text to write, which takes the place of the file at `path`, or of the one that a link there names.

    Raises:
        StorageError: there is no room.
    """
    from pocketrec.files import whole_or_nothing

    with (
        whole_or_nothing(path.resolve()) as partial,
        partial.open("w", encoding="utf-8", newline="") as file,
    ):
        yield file


def write_text(path: Path, text: str) -> None:
    """Writes the text, over what was there; raises StorageError where there is no room."""
    with whole_text(path) as file:
        file.write(text)
