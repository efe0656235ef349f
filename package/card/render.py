"""Templates of Markdown in which every value is a text, whatever stands in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pocketrec.package.apps.tree import render_template

Escape = Callable[[str], str]
_FORBIDDEN = re.compile("[^ -~\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # YAML 1.1, 5.1
_BEGINS = re.compile(r"(\d*)([-+=.)])")  # at the start of a line it would be a list or a rule


def render(template: str, context: Mapping[str, Any], escape: Escape) -> str:
    """The template of that name, filled.

    Args:
        template: a file of this package's templates, without its suffix.
        context: what it names; a name that is not there is an error.
        escape: makes a text one that Markdown shows as it is, on one line.
    """

    def row(cells: Iterable[object]) -> str:
        return f"| {' | '.join(escape(str(each)) for each in cells)} |"

    def paragraph(text: str) -> str:
        shown = escape(text)
        found = _BEGINS.match(shown)
        return f"{found[1]}\\{found[2]}{shown[found.end() :]}" if found is not None else shown

    def rule(cells: Iterable[object]) -> str:
        return f"|{'---|' * len(list(cells))}"

    filters = {"text": escape, "row": row, "rule": rule, "paragraph": paragraph, "yaml": as_yaml}
    return render_template(__package__ or "", template, context, filters=filters)


def as_yaml(text: str) -> str:
    """A text as a scalar of YAML: in quotes, on one line, without letters that YAML forbids."""
    return json.dumps(_FORBIDDEN.sub("", " ".join(text.split())), ensure_ascii=False)
