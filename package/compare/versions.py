"""The version that a change is due, by Semantic Versioning 2.0.0 (semver.org)."""

from __future__ import annotations

import re

from pocketrec.report import Bump, Level

_NUMBERS = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?:[-+].*)?\Z")
_BUMP: dict[Level, str] = {"breaking": "major", "addition": "minor", "same": "patch"}


def bump_of(old: str, new: str, level: Level, *, identical: bool) -> Bump:
    """What the later version has to be.

    Below 1.0.0 a breaking change raises the second number, and everything else the third.

    Args:
        old: the earlier release's version.
        new: the later one's.
        level: of the heaviest change.
        identical: whether the releases hold the same bytes, so that they may have one version.
    """
    was, now = _numbers(old), _numbers(new)
    if identical:
        return Bump(old=old, new=new, due=old, kind="same", enough=was is None or now is None or now >= was)
    if was is None or now is None:
        return Bump(old=old, new=new, due="", kind=_BUMP[level], enough=False)
    due = _raised(was, level)
    enough = now >= due
    return Bump(old=old, new=new, due=".".join(map(str, due)), kind=_BUMP[level], enough=enough)


def _numbers(version: str) -> tuple[int, int, int] | None:
    found = _NUMBERS.match(version)
    if found is None:
        return None
    major, minor, patch = (int(each or 0) for each in found.groups())
    return major, minor, patch


def _raised(version: tuple[int, int, int], level: Level) -> tuple[int, int, int]:
    major, minor, patch = version
    if level == "same" or (level == "addition" and major == 0):
        return major, minor, patch + 1
    if level == "addition" or major == 0:
        return major, minor + 1, 0
    return major + 1, 0, 0
