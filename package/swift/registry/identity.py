"""What a release is called in a Swift registry: `shop.session-recommender`, and a semantic version."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from pocketrec.errors import UsageError

# The registry's specification, 3.6, without capitals: ids compare without case, and names of folders do not.
_SCOPE = re.compile(r"[a-z0-9](?:[a-z0-9]|-(?=[a-z0-9])){0,38}")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9]|[-_](?=[a-z0-9])){0,99}")
# semver.org's own pattern, without build metadata: SwiftPM takes two that differ in it for one version.
_NUMBER = r"(?:0|[1-9][0-9]{0,8})"
_LABEL = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_LABEL}(?:\.{_LABEL})*))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A package's id: the scope, and the name within it."""

    scope: str
    name: str

    @classmethod
    def of(cls, text: str) -> Self:
        """The id that `text` is; UsageError where it is none."""
        scope, dot, name = text.partition(".")
        if not (dot and _SCOPE.fullmatch(scope) and _NAME.fullmatch(name)):
            raise UsageError(
                f"--id is {text[:80]!r}; expected scope.name of lower-case letters, digits and single "
                "hyphens, such as shop.session-recommender"
            )
        return cls(scope=scope, name=name)

    def __str__(self) -> str:
        return f"{self.scope}.{self.name}"


def is_version(text: str) -> bool:
    """Whether a Swift registry can hold a release of that version."""
    return _VERSION.fullmatch(text) is not None


def checked_version(text: str) -> str:
    """The version; UsageError where an app could not ask for it."""
    if not is_version(text):
        raise UsageError(
            f"the bundle's version is {text[:80]!r}, which Swift cannot order; set a version such as 1.4.0 "
            "or 1.4.0-beta.1 in the recipe, and build again"
        )
    return text


def highest_first(versions: Iterable[str]) -> list[str]:
    """The versions in semver.org's order, the highest first; a release stands before its previews."""
    return sorted(versions, key=_precedence, reverse=True)


def _precedence(version: str) -> tuple[object, ...]:
    found = _VERSION.fullmatch(version)
    assert found is not None  # callers have asked
    *numbers, labels = found.groups()
    parts = [(0, int(each), "") if each.isdigit() else (1, 0, each) for each in (labels or "").split(".")]
    return (*map(int, numbers), labels is None, parts)
