"""The tables of a recipe, found by walking its dataclasses: where each stands, and examples of its keys."""

from __future__ import annotations

import dataclasses
import tomllib
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pocketrec.quantize.schemes import SCHEMES
from pocketrec.recipe import Recipe
from pocketrec.schema import fields_of

RECIPES = Path(__file__).parents[2] / "docs/examples/recipes"
ORDER = ("ranking", "labels", "heads", "search", "generative")  # the first that states a key is its example
NAME = "NAME"  # what stands in a path for a name of the reader's own


class Key(NamedTuple):
    """A key of a table: the dataclass, and its field."""

    table: Any
    name: str


def places(cls: Any = Recipe, path: str = "") -> Iterator[tuple[Any, str]]:
    """Every table from one on with its header, depth first; once for each place where it stands."""
    yield cls, path
    for name, (hint, _) in fields_of(cls).items():
        inside = f"{path.strip('[]')}.{name}".removeprefix(".")
        for inner, form in nested(hint):
            yield from places(inner, form.format(inside))


def nested(hint: Any) -> list[tuple[Any, str]]:
    """The dataclasses that a field of that type holds, each with the form of its header."""
    if dataclasses.is_dataclass(hint):
        return [(hint, "[{}]")]
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:  # `OneOrMore`
        return [(each, form) for each, listed in nested(arguments[0]) for form in ("[{}]", listed)]
    if origin is tuple:
        return [(each, "[[{}]]") for each in arguments if dataclasses.is_dataclass(each)]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return [(each, f"[{{}}.{NAME}]") for each in arguments if dataclasses.is_dataclass(each)]
    return [found for each in arguments for found in nested(each)]


def keys() -> list[Key]:
    """Every key that a recipe can hold, those of schemes included, once."""
    classes = dict.fromkeys([*(cls for cls, _ in places()), *SCHEMES.values()])
    return [Key(cls, name) for cls in classes for name in fields_of(cls)]


def recipes() -> list[Path]:
    """The example recipes, in the order in which examples are taken from them."""
    return [RECIPES / f"{name}.toml" for name in ORDER]


def examples() -> dict[Key, Any]:
    """What the example recipes state for each key: the first value of each."""
    found: dict[Key, Any] = {}
    for path in recipes():
        for key, value in _stated(Recipe, tomllib.loads(path.read_text(encoding="utf-8"))):
            found.setdefault(key, value)
    return found


def _stated(cls: Any, table: Mapping[str, Any]) -> Iterator[tuple[Key, Any]]:
    """Every key that a table and those within it state."""
    for name, value in table.items():
        yield Key(cls, name), value
        for inner, form in nested(fields_of(cls)[name][0]):
            for each in inside(value, form):
                yield from _stated(inner, each)
    for scheme in table.get("tensors", {}).values():
        fields = {name: value for name, value in scheme.items() if name != "scheme"}
        yield from _stated(SCHEMES[scheme["scheme"]], fields)


def inside(value: Any, form: str) -> list[Mapping[str, Any]]:
    """The tables of that form that a value holds."""
    if form.startswith("[["):
        return value if isinstance(value, list) else []
    if not isinstance(value, dict):
        return []
    return list(value.values()) if NAME in form else [value]
