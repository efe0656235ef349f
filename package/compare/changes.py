"""Changes from one release to the next, by what semantic versioning makes of them."""

from __future__ import annotations

from collections.abc import Sequence

from pocketrec.report import Change, Level

_ORDER: dict[Level, int] = {"breaking": 2, "addition": 1, "same": 0}


def heaviest(changes: Sequence[Change]) -> Level:
    """The level that breaks most; `same` where nothing changed."""
    found = ordered(changes)
    return found[0].level if found else "same"


def ordered(changes: Sequence[Change]) -> tuple[Change, ...]:
    """What breaks first, else as they came."""
    return tuple(sorted(changes, key=lambda each: -_ORDER[each.level]))
