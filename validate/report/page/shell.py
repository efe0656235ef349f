"""One HTML page that needs nothing beside it: the shell that all pages of the project share."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from jinja2 import Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a page, with a link in the bar.

    Attributes:
        title: its heading.
        parts: one below the other; from `parts.py`, `chart.py`, or any other `Markup`.
        lead: a sentence below the heading.
        short: for the bar; the title where it is empty.
    """

    title: str
    parts: Sequence[Markup]
    lead: str | Markup = ""
    short: str = ""


def page(
    title: str, sections: Sequence[Section], *, mark: str = "", top: Markup | None = None, foot: str = ""
) -> str:
    """Returns an HTML document with style and script inside; it reaches no network, and its policy says so.

    Texts are escaped, `Markup` is not. The same arguments give the same text.

    Args:
        title: of the document.
        sections: in order.
        mark: stands at the left of the bar; the title by default.
        top: stands before the first section; by default a heading with the title.
        foot: a sentence at the end.
    """
    script = _asset("script.js")
    named = zip(_names(sections), sections, strict=True)
    return _template().render(
        title=title,
        mark=mark or title,
        sections=[
            {"name": name, "title": each.title, "parts": each.parts, "lead": each.lead, "short": each.short}
            for name, each in named
        ],
        top=Markup('<div class="top"><h1>{}</h1></div>').format(title) if top is None else top,
        foot=foot,
        style=Markup(_asset("style.css")),  # noqa: S704 (a file of this package)
        script=Markup(script),  # noqa: S704 (likewise)
        script_digest=_digest(script),
    )


def _names(sections: Sequence[Section]) -> list[str]:
    """A name for each section's link, none twice."""
    found: list[str] = []
    for each in sections:
        words = re.sub(r"[^a-z0-9]+", "-", (each.short or each.title).lower()).strip("-") or "part"
        found.append(words if words not in (*found, "content") else f"{words}-{len(found)}")
    return found


def _digest(script: str) -> str:
    """What a Content Security Policy calls the script, so that no other runs."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@cache
def _asset(name: str) -> str:
    path = Path(__file__).parent / "templates" / name
    return path.read_text(encoding="utf-8")


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_asset("page.html.j2"))
