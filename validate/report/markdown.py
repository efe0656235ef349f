"""Cells and rows of Markdown in which every text is a text."""

from __future__ import annotations

from collections.abc import Iterable

_SPECIAL = ("\\", "|", "<", "`", "*", "[")


def md_text(text: str) -> str:
    """The text on one line, with what Markdown would read as markup escaped."""
    plain = " ".join(text.split())
    for character in _SPECIAL:
        plain = plain.replace(character, "\\" + character)
    return plain


def md_row(cells: Iterable[str]) -> str:
    """A row of a table."""
    return "| " + " | ".join(cells) + " |"
