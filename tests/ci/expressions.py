"""The expressions `${{ … }}` of workflows, as far as ours have them: names, texts, comparisons, states.

Anything else is an error, so that what is not understood is not taken for false.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|([A-Za-z_][\w-]*(?:\.[\w-]+)*)|(==|!=|&&|\|\||[!()]))")
_HOLE = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_STATES = ("always", "success", "failure", "cancelled")


class NotUnderstood(Exception):
    """An expression that this does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What names stand for, and how the job stands.

    Attributes:
        names: the contexts: `inputs`, `steps`, `github`, `runner`.
        failed: whether a step failed.
        cancelled: whether the job was.
    """

    names: Mapping[str, Any]
    failed: bool = False
    cancelled: bool = False

    def state(self, name: str) -> bool:
        """What a function of the job's state gives."""
        fine = not self.failed and not self.cancelled
        return {
            "always": True,
            "success": fine,
            "failure": self.failed and not self.cancelled,
            "cancelled": self.cancelled,
        }[name]

    def value(self, path: str) -> Any:
        """What a name stands for; empty where nothing is there, as on the real machine."""
        found: Any = self.names
        first, *rest = path.split(".")
        if first in ("true", "false") and not rest:
            return first == "true"
        if first not in self.names:
            raise NotUnderstood(f"{path}: no context {first!r}")
        for each in (first, *rest):
            found = found.get(each, "") if isinstance(found, Mapping) else ""
        return found


def filled(text: str, scope: Scope) -> str:
    """A text with every `${{ … }}` replaced."""
    return _HOLE.sub(lambda found: _shown(evaluate(found[1], scope)), text)


def holds(condition: str, scope: Scope) -> bool:
    """Whether a step's `if` holds; without a function of the state, all before it must have succeeded."""
    inner = _HOLE.fullmatch(condition.strip())
    text = inner[1] if inner else condition
    asks = any(re.search(rf"\b{each}\(", text) for each in _STATES)
    return bool(evaluate(text, scope)) and (asks or scope.state("success"))


def evaluate(text: str, scope: Scope) -> Any:
    """The value of an expression; NotUnderstood for what is none of ours."""
    reader = _Reader(_tokens(text), scope)
    value = reader.any_of()
    if reader.rest:
        raise NotUnderstood(f"{text!r}: {reader.rest[0]!r} is left over")
    return value


def _tokens(text: str) -> list[str]:
    found, place = [], 0
    while text[place:].strip():
        token = _TOKEN.match(text, place)
        if token is None:
            raise NotUnderstood(f"{text!r}: {text[place:]!r}")
        found.append(token[0].strip())
        place = token.end()
    return found


class _Reader:
    """any_of: all_of || …; all_of: compared && …; compared: one == one; one: ! one, ( any_of ), a value."""

    def __init__(self, tokens: list[str], scope: Scope) -> None:
        self.rest, self._scope = tokens, scope

    def any_of(self) -> Any:
        return self._chain("||", self._all_of, lambda value: bool(value))

    def _all_of(self) -> Any:
        return self._chain("&&", self._compared, lambda value: not value)

    def _chain(self, sign: str, part: Callable[[], Any], decided: Callable[[Any], bool]) -> Any:
        value = part()
        while self._take(sign):
            other = part()  # always read, as nothing in it has an effect
            value = value if decided(value) else other
        return value

    def _compared(self) -> Any:
        left = self._one()
        for sign in ("==", "!="):
            if self._take(sign):
                return (_shown(left).lower() == _shown(self._one()).lower()) == (sign == "==")
        return left

    def _one(self) -> Any:
        if self._take("!"):
            return not self._one()
        if self._take("("):
            value = self.any_of()
            self._need(")")
            return value
        if not self.rest:
            raise NotUnderstood("ends where a value is expected")
        token = self.rest.pop(0)
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token in _STATES and self._take("("):
            self._need(")")
            return self._scope.state(token)
        return self._scope.value(token)

    def _take(self, sign: str) -> bool:
        if self.rest[:1] != [sign]:
            return False
        self.rest.pop(0)
        return True

    def _need(self, sign: str) -> None:
        if not self._take(sign):
            raise NotUnderstood(f"{sign!r} is missing before {self.rest[:1]}")


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
