"""The types of arguments as TypeScript spells them, and a value of each for a reader."""

from __future__ import annotations

from pocketrec.package.apps.methods import Argument, Kind, Method

MEMBERS = ("constructor", "load", "loader", "session", "reset", "item", "suggest", "dispose", "provider")
ARGUMENTS = ("signal",)
_ONE = {"text": "string", "item": "string", "number": "number", "count": "number", "flag": "boolean"}


def type_of(argument: Argument, method: Method) -> str:
    """The type of an argument of a method, or of one of its candidates."""
    kind = argument.kind
    if kind.takes == "excluded":
        return "Iterable<string>"
    if kind.takes == "candidate":
        return f"readonly (string | {method.type}Candidate)[]"
    return _spelled(kind)


def _spelled(kind: Kind) -> str:
    one = _ONE[kind.takes]
    if not kind.depth:
        return one
    listed = f"readonly {one}[]"
    for _ in range(kind.depth - 1):
        listed = f"readonly ({listed})[]"
    if kind.alone:
        return f"{one} | {listed}"
    return f"{listed} | Float32Array" if listed == "readonly number[]" else listed


def example_of(method: Method) -> str:
    """Arguments as a reader may type them; what may be left out is, unless plain candidates need it."""
    return ", ".join(f"{each.name}: {_value(each)}" for each in method.shown)


def _value(argument: Argument) -> str:
    """A value of an argument's type."""
    kind = argument.kind
    if kind.takes == "count":
        return "10"
    if not kind.depth or kind.alone:
        return {"number": "1", "flag": "true"}.get(kind.takes, '"a title or a token"')
    return '["a title", "a token"]' if kind.takes in ("item", "candidate") else "[…]"
