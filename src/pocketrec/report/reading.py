"""Evidence as data again: what a bundle's evidence.json holds, checked against the dataclasses.

What a later release added to the format is left out; what an earlier one did not know has its default.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union

from pocketrec.errors import ArtifactError
from pocketrec.report.evidence import Evidence
from pocketrec.report.runtimes import RuntimeResult
from pocketrec.schema import fields_of, shown

FORMAT = 1
SPECIAL = ("nan", "inf", "-inf")  # numbers that strict JSON lacks
_LONGEST = 80  # characters of a value in a message


def read_evidence(table: object, *, source: str) -> Evidence:
    """Returns the evidence that a JSON document holds.

    Args:
        table: what the parser gave.
        source: the file's name, for messages.

    Raises:
        ArtifactError: it is of another format, or a value is not what the format says; with file and key.
    """
    stated = table.get("schema", FORMAT) if isinstance(table, Mapping) else FORMAT
    if stated != FORMAT or isinstance(stated, bool):
        said = f"{source}: its format is {shown(stated, _LONGEST)}; this pocketrec reads {FORMAT}"
        raise ArtifactError(f"{said}: install the one that built the bundle, or build it again")
    found: Evidence = _made(Evidence, table, source, "")
    return found


def read_results(table: Mapping[str, object], *, source: str) -> tuple[RuntimeResult, ...]:
    """Returns the results that evidence holds, read alone; ArtifactError with file and key."""
    if "results" not in table:
        raise ArtifactError(f"{source}: top level lacks 'results'; build the bundle again")
    found: tuple[RuntimeResult, ...] = _value(tuple[RuntimeResult, ...], table["results"], source, "results")
    return found


def _made(cls: Any, table: object, source: str, key: str) -> Any:
    if not isinstance(table, Mapping):
        raise _wrong(source, key, table, "a table")
    given = {}
    for name, (hint, required) in fields_of(cls).items():
        if name in table:
            given[name] = _value(hint, table[name], source, f"{key}.{name}" if key else name)
        elif required:
            raise ArtifactError(f"{source}: {key or 'top level'} lacks {name!r}; build the bundle again")
    return cls(**given)


def _value(hint: Any, value: object, source: str, key: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        (kind,) = (each for each in arguments if each is not type(None))
        return None if value is None else _value(kind, value, source, key)
    if origin is Literal:
        if value not in arguments:
            raise _wrong(source, key, value, "one of " + ", ".join(map(repr, arguments)))
        return value
    if origin is tuple:
        return _sequence(arguments, value, source, key)
    if origin is not None:
        if not isinstance(value, Mapping):
            raise _wrong(source, key, value, "a table")
        return {
            str(name): _value(arguments[1], each, source, f"{key}.{name}") for name, each in value.items()
        }
    return (
        _made(hint, value, source, key)
        if dataclasses.is_dataclass(hint)
        else _scalar(hint, value, source, key)
    )


def _sequence(arguments: tuple[Any, ...], value: object, source: str, key: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _wrong(source, key, value, "a list")
    hints = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
    if len(value) != len(hints):
        raise _wrong(source, key, value, f"a list of {len(hints)}")
    pairs = zip(hints, value, strict=True)
    return tuple(_value(hint, each, source, f"{key}[{place}]") for place, (hint, each) in enumerate(pairs))


def _scalar(hint: Any, value: object, source: str, key: str) -> Any:
    if hint is float:
        return _number(value, source, key)
    if type(value) is not hint:
        names = {str: "a text", int: "a whole number", bool: "true or false"}
        raise _wrong(source, key, value, names[hint])
    return value


def _number(value: object, source: str, key: str) -> float:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if not numeric and value not in SPECIAL:
        raise _wrong(source, key, value, "a number")
    try:
        return float(typing.cast(float, value))
    except OverflowError:
        raise _wrong(source, key, "an integer that is too large", "a number") from None


def _wrong(source: str, key: str, value: object, expected: str) -> ArtifactError:
    where = f"{source}: {key or 'top level'} is {shown(value, _LONGEST)}"
    return ArtifactError(f"{where}; expected {expected}; pull the bundle again, or build it again")
