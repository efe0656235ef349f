"""Cells and rows of Markdown in which every text is a text."""

from __future__ import annotations

import re
from collections.abc import Iterable

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # what a terminal would obey
_SPECIAL = re.compile(r"[\\|<>`*\[\]#~&]|\b_+|_+\b|(?<!\w)@")


def md_text(text: str) -> str:
    """Returns the text on one line, with what Markdown would read as markup escaped; nobody is mentioned.

    Letters that a terminal would obey are left out.
    """
    plain = _CONTROL.sub("", " ".join(text.split()))
    return _SPECIAL.sub(lambda found: "".join(f"\\{each}" for each in found[0]), plain)


def md_row(cells: Iterable[str]) -> str:
    """Returns a row of a table."""
    return "| " + " | ".join(cells) + " |"
