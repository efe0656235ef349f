"""An entry put into a changelog of the form of Keep a Changelog (https://keepachangelog.com/en/1.1.0/)."""

from __future__ import annotations

import re

from pocketrec.errors import UsageError

_BEGIN = "# Changelog\n"
_SECTIONS = re.compile(r"^(?=## )", re.MULTILINE)
_UNRELEASED = ("## [unreleased]", "## unreleased")


def with_entry(text: str, entry: str, *, source: str) -> str:
    """The changelog with the entry before those of earlier releases; unchanged where it holds the very entry.

    Args:
        text: the changelog; empty for a new one.
        entry: begins with its heading, `## [version]`.
        source: the changelog's name, as an error calls it.

    Raises:
        UsageError: the changelog has another entry of that version.
    """
    heading = entry.partition("]")[0] + "]"
    head, *sections = _SECTIONS.split(text or _BEGIN)
    for each in sections:
        if each.startswith(heading):
            if each.strip() != entry.strip():
                raise UsageError(
                    f"{source}: has an entry {heading[3:]} that says something else; remove it first"
                )
            return text
    first = bool(sections) and sections[0].lower().startswith(_UNRELEASED)
    before, after = "".join([head, *sections[:first]]).rstrip(), "".join(sections[first:])
    return "\n\n".join(each for each in (before, entry.strip(), after) if each).rstrip("\n") + "\n"
