"""A recipe's text with the sentence of each key above it, and the keys that it leaves out as comments."""

from __future__ import annotations

import dataclasses
import json
import re
import textwrap
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pocketrec.recipe import Recipe
from pocketrec.schema import described, fields_of

_WIDTH = 110
_HEADER = re.compile(r"^\[\[?([^\]]+)\]\]?\s*(#.*)?$")
_KEY = re.compile(r"^([A-Za-z_][\w-]*)\s*=")


def explained(text: str) -> str:
    """The recipe `text` with comments; its values are as they were.

    A table's keys are explained where the first table of its kind stands: the keys that it states above them,
    the others at its end, each with its default. Tables of the recipe that it lacks follow at the end.
    """
    lines, told = [], set[Any]()
    for header, body in _sections(text):
        above = list(_tables_to(_parts(header))) if header else [Recipe]
        first = above[-1] is not None and above[-1] not in told
        told.update(above)
        lines += [*_section(header, body, above[-1] if first else None), ""]
    return "\n".join([*lines, *_lacking(told)]).rstrip() + "\n"


def as_toml(value: Any) -> str:
    """The value as TOML writes it, on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(as_toml(each) for each in value) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{quoted(name)} = {as_toml(each)}" for name, each in value.items()) + " }"
    return repr(value)


def quoted(name: str) -> str:
    """A key as TOML writes it: bare where it can be."""
    return name if re.fullmatch(r"[\w-]+", name) else as_toml(name)


def _sections(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each table's header, empty for the top, with the lines that follow it."""
    header, body, within = "", list[str](), False
    for line in text.splitlines():
        if not within and _HEADER.match(line):
            yield header, body
            header, body = line, []
            continue
        within ^= line.count('"""') % 2 == 1
        body.append(line)
    yield header, body


def _parts(header: str) -> list[str]:
    found = _HEADER.match(header)
    assert found is not None
    return [each.strip().strip('"') for each in found[1].split(".")]


def _tables_to(parts: list[str]) -> Iterator[Any]:
    """The tables' dataclasses on the way to that path; None at last where what it holds is the user's."""
    cls: Any = Recipe
    rest = iter(parts)
    for part in rest:
        hint, _ = fields_of(cls).get(part, (None, False))
        cls, named = _nested(hint)
        yield cls
        if cls is None:
            return
        if named:
            next(rest, None)


def _nested(hint: Any) -> tuple[Any, bool]:
    """The dataclass that a field of that type holds, and whether under names of the user's own."""
    if dataclasses.is_dataclass(hint):
        return hint, False
    arguments = typing.get_args(hint)
    named = isinstance(typing.get_origin(hint), type) and issubclass(typing.get_origin(hint), Mapping)
    inner = [_nested(each)[0] for each in arguments]
    return next((each for each in inner if each is not None), None), named


def _section(header: str, body: list[str], cls: Any) -> list[str]:
    lines = [header] if header else []
    if cls is None:
        return _trimmed([*lines, *body])
    said, sentences = described(cls)
    lines = [*([*_comment(said)] if header else []), *lines]
    stated = set()
    for line in body:
        key = _KEY.match(line)
        if key and key[1] in sentences:
            stated.add(key[1])
            lines += _comment(sentences[key[1]])
        lines.append(line)
    lines = _trimmed(lines)
    others = [
        name for name in sentences if name not in stated and _nested(fields_of(cls)[name][0])[0] is None
    ]
    return [*lines, *(each for name in others for each in _left_out(cls, name, sentences[name]))]


def _trimmed(lines: list[str]) -> list[str]:
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return lines


def _left_out(cls: Any, name: str, sentence: str) -> list[str]:
    """A key that the recipe does not state, as a comment with its default."""
    default = next(each for each in dataclasses.fields(cls) if each.name == name)
    if default.default_factory is not dataclasses.MISSING:
        value = default.default_factory()
    else:
        value = default.default
    shown = (
        "…"
        if value is None or value is dataclasses.MISSING or dataclasses.is_dataclass(value)
        else as_toml(value)
    )
    return _comment(f"{name} = {shown}: {sentence}")


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()), _WIDTH, initial_indent="# ", subsequent_indent="#   ", break_on_hyphens=False
    )


def _lacking(told: set[Any]) -> list[str]:
    """The recipe's tables that the text does not have, as comments."""
    lines = []
    for name, (hint, _) in fields_of(Recipe).items():
        cls, named = _nested(hint)
        if cls is not None and cls not in told:
            said, sentences = described(cls)
            lines += [*_comment(said), f"# [{name}{'.NAME' if named else ''}]"]
            lines += [line for key in sentences for line in _left_out(cls, key, sentences[key])]
            lines.append("")
    return lines
