"""Writes the pages that are made from the code: `python -m tests.docs.write`, which is `make references`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.docs.commands_page import commands_page
from tests.docs.recipe_page import recipe_page

DOCS = Path(__file__).parents[2] / "docs"
PAGES: Mapping[str, Callable[[], str]] = {"recipe.md": recipe_page, "commands.md": commands_page}


def write_pages(folder: Path = DOCS) -> None:
    """Writes every page into the folder."""
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write_pages()
