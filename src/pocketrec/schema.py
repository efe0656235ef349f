"""Plain tables (TOML, JSON) to frozen dataclasses, strictly.

Unknown keys, wrong types and missing values are errors that name the file, the key, what came,
what was expected, and the nearest valid name.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union

from pocketrec.errors import PocketrecError, RecipeError, meant

T = TypeVar("T")
OneOrMore = Annotated[tuple[T, ...], "one table stands for a list of one"]
_LONGEST = 200  # characters of a value in a message


class Range(NamedTuple):
    """The smallest and the largest value that a key can have; `above` leaves the smallest itself out."""

    low: float
    high: float
    above: bool = False

    def __contains__(self, value: object) -> bool:
        return isinstance(value, float | int) and (
            self.low < value <= self.high if self.above else self.low <= value <= self.high
        )

    def __str__(self) -> str:
        if self.above:
            return f"more than {self.low:g}, and {self.high:g} at most"
        return f"{self.low:g} to {self.high:g}"


def from_table(cls: type[T], table: object, *, source: str, key: str = "") -> T:
    """An instance of the dataclass `cls` made from `table`.

    Args:
        cls: a keyword-only dataclass whose fields are scalars, Literals, tuples, mappings from
            str, or such dataclasses again.
        table: what the parser gave.
        source: the file's name, for messages.
        key: the dotted key of `table` in that file; empty at the top.

    Raises:
        RecipeError: with file, key, what came and what was expected.
    """
    if not isinstance(table, Mapping):
        raise _wrong(source, key, table, "a table")
    fields: dict[str, tuple[Any, bool]] = fields_of(typing.cast(Any, cls))
    for name in table:
        if name not in fields:
            raise _unknown(source, _join(key, str(name)), str(name), list(fields))
    given = {
        name: _convert(fields[name][0], value, source, _join(key, name)) for name, value in table.items()
    }
    for name, (_, required) in fields.items():
        if required and name not in given:
            raise RecipeError(f"{source}: {_join(key, name)} is missing; add it")
    try:
        return cls(**given)
    except PocketrecError as error:
        named = str(error).startswith(tuple(f"{key.rpartition('.')[2]}{end}" for end in ".: "))
        where = "" if named or not key else f"{key}: "
        raise RecipeError(f"{source}: {where}{error}") from error


def check_ranges(table: str, given: object, ranges: Mapping[str, Range]) -> None:
    """Checks that every number lies in its range; None is left alone."""
    for key, allowed in ranges.items():
        value = getattr(given, key)
        if isinstance(value, Mapping) and not value:
            raise RecipeError(f"{table}.{key} is an empty table; state a number in it, or leave it out")
        for name, each in value.items() if isinstance(value, Mapping) else [("", value)]:
            if each is not None and each not in allowed:
                where = f"{table}.{key}.{name}" if name else f"{table}.{key}"
                raise RecipeError(f"{where} is {each}; expected {allowed}")


@cache
def fields_of(cls: Any) -> dict[str, tuple[Any, bool]]:
    """A dataclass's fields that can be given: their types, and whether they must be."""
    hints, missing = typing.get_type_hints(cls, include_extras=True), dataclasses.MISSING
    return {
        each.name: (hints[each.name], each.default is missing and each.default_factory is missing)
        for each in dataclasses.fields(cls)
        if each.init
    }


def described(cls: Any) -> tuple[str, dict[str, str]]:
    """What a dataclass's docstring says of it, and of each of its attributes."""
    text = inspect.cleandoc(cls.__doc__ or "")
    said, _, rest = text.partition("\n\nAttributes:\n")
    lines = re.findall(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", rest, re.MULTILINE)
    return " ".join(said.split()), {name: " ".join(about.split()) for name, about in lines}


def _convert(hint: Any, value: object, source: str, key: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin is Annotated:
        several = arguments[0]  # of `OneOrMore`
        if isinstance(value, list | tuple):
            return _convert(several, value, source, key)
        return (_convert(typing.get_args(several)[0], value, source, key),)
    if origin in (Union, types.UnionType):
        return _convert_union(arguments, value, source, key)
    if origin is Literal:
        if not any(value == each and type(value) is type(each) for each in arguments):  # 8.0 is not 8
            raise _wrong(source, key, value, _one_of(arguments, value))
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise _wrong(source, key, value, "a list")
        return tuple(_convert(arguments[0], each, source, f"{key}[{i}]") for i, each in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise _wrong(source, key, value, "a table")
        return {str(k): _convert(arguments[1], v, source, _join(key, str(k))) for k, v in value.items()}
    if dataclasses.is_dataclass(hint):
        return from_table(typing.cast(type, hint), value, source=source, key=key)
    return _convert_scalar(hint, value, source, key)


def _convert_union(arguments: tuple[Any, ...], value: object, source: str, key: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    members = [each for each in arguments if each is not type(None)]
    for member in members[:-1]:
        try:
            return _convert(member, value, source, key)
        except RecipeError:
            continue
    if len(members) == 1:
        return _convert(members[0], value, source, key)
    try:
        return _convert(members[-1], value, source, key)
    except RecipeError:
        if isinstance(value, Mapping) and _describe(members[-1]) == "a table":
            raise  # of what is in it
        names = " or ".join(_describe(each) for each in members)
        raise _wrong(source, key, value, names) from None


def _convert_scalar(hint: Any, value: object, source: str, key: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise _wrong(source, key, "an integer that is too large", "a number") from None
    if type(value) is not hint:
        raise _wrong(source, key, value, _describe(hint))
    if hint is float and value != value:
        raise _wrong(source, key, value, "a number that is not NaN")
    return value


def _one_of(choices: tuple[Any, ...], value: object) -> str:
    """What was expected where only some values are known; of several, which was meant."""
    if len(choices) == 1:
        return repr(choices[0])
    return "one of " + ", ".join(map(repr, choices)) + meant(value, choices)


def _describe(hint: Any) -> str:
    known = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}
    origin = typing.get_origin(hint)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "a table"
    if origin is tuple:
        return "a list"
    return known.get(hint, getattr(hint, "__name__", str(hint)))


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _wrong(source: str, key: str, value: object, expected: str) -> RecipeError:
    return RecipeError(f"{source}: {key or 'top level'} is {shown(value)}; expected {expected}")


def shown(value: object, longest: int = _LONGEST) -> str:
    """The value as it is written, cut where it has more letters."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # of an integer of 5,000 digits
        return f"a {type(value).__name__} that is too large to print"
    return text if len(text) <= longest else f"{text[:longest]}..."


def _unknown(source: str, key: str, name: str, known: list[str]) -> RecipeError:
    hint = meant(name, known) or f"; known here: {', '.join(known)}"
    return RecipeError(f"{source}: {key} is not a known key{hint}")
