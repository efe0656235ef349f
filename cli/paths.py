"""Paths as arguments: an empty one, as of a shell variable that is not set, names nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


class FilePath(click.Path):
    """A path; `pathlib` would take an empty one for the working directory, and write there."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; a usage error where it is empty or holds a NUL."""
        if not str(value).strip() or "\0" in str(value):
            self.fail(f"{str(value)!r} names no file and no folder.", param, ctx)
        return super().convert(value, param, ctx)


PATH = FilePath()
