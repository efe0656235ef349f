"""A change from one release to the next, and what semantic versioning makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["breaking", "addition", "same"]
_ORDER: dict[Level, int] = {"breaking": 2, "addition": 1, "same": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference of two contracts.

    Attributes:
        level: `breaking` where what an app did before gives an error or another thing, `addition` where it
            goes on and more is possible, `same` where nobody who calls notices.
        where: what changed, such as `main, input history`.
        what: from what to what.
        why: what it means for an app; empty where that is plain.
    """

    level: Level
    where: str
    what: str
    why: str = ""

    @property
    def message(self) -> str:
        """The change in one line."""
        return f"{self.where}: {self.what}" + (f"; {self.why}" if self.why else "")


def heaviest(changes: Sequence[Change]) -> Level:
    """The level that breaks most; `same` where nothing changed."""
    found = ordered(changes)
    return found[0].level if found else "same"


def ordered(changes: Sequence[Change]) -> tuple[Change, ...]:
    """What breaks first, else as they came."""
    return tuple(sorted(changes, key=lambda each: -_ORDER[each.level]))
