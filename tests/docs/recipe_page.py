"""docs/recipe.md: every key of a recipe with type, default, sentence and example, from the dataclasses."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union

from tests.docs.tables import NAME, Key, examples, nested, places, recipes
from tests.docs.words import WORDS, Words

from pocketrec.pipeline.start.explained import as_toml, quoted
from pocketrec.quantize.schemes import SCHEMES
from pocketrec.recipe import GATE_RANGES, VERSUS_RANGES, Compress, Gates, Versus
from pocketrec.recipe.compress import COMPRESS_RANGES, COST_RANGES, Cost
from pocketrec.recipe.measures import CHANGE_RANGES, ChangeLimits, StepLimits
from pocketrec.schema import Range, described, fields_of

_RANGES: Mapping[Any, Mapping[str, Range]] = {
    Compress: COMPRESS_RANGES,
    Cost: COST_RANGES,
    Gates: GATE_RANGES,
    ChangeLimits: CHANGE_RANGES,
    StepLimits: CHANGE_RANGES,
    Versus: VERSUS_RANGES,
}
_SCALARS = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`", Any: "anything"}
_OF = {"text": "texts", "whole number": "whole numbers", "number": "numbers", "anything": "anything"}
_TENSORS = Key(Compress, "tensors")  # its tables are read by `scheme_from_table`
_COLUMNS = "| key | type | default | what it is | example |\n|---|---|---|---|---|"
_TOP = "The top level"
_BEGINNING = """\
# Recipe reference

<!-- Made from the dataclasses of pocketrec.recipe by `make references`. -->

A recipe is one TOML file; `pocketrec build` takes its path, and `pocketrec init` writes one that explains
every key. Here is each that it can have. [evidence.md](evidence.md) tells what a release is decided by,
[evaluation-data.md](evaluation-data.md) what evaluation data are, [compression.md](compression.md) how models
become small, [diff.md](diff.md) how a build is held against the release before.

- Unknown keys, wrong types and impossible values are errors that name file, key and what was expected.
- Files are relative to the recipe's folder; `package.module:function` and `file.py:function` name Python.
- `NAME` in a header stands for a name of yours. A tensor's or a case's name may be a pattern with `*`.
- A key that has no default and is not required (`—`) says nothing until it is stated.
"""


def recipe_page() -> str:
    """The page."""
    found = examples()
    headers: dict[Any, list[str]] = {}
    for cls, header in dict.fromkeys(places()):
        headers.setdefault(cls, []).append(header)
    tables = [_section(cls, each, headers, found) for cls, each in headers.items()]
    schemes = [_scheme(name, cls, headers, found) for name, cls in SCHEMES.items()]
    words = [_words(each) for each in WORDS]
    return "\n".join(
        [
            _BEGINNING,
            *tables,
            "## Schemes\n",
            "A tensor's table in `[compress.tensors]` is one of these; `scheme` names it, beside its keys.\n",
            *schemes,
            "## Words of the contract\n",
            *words,
            _recipes(),
        ]
    )


def _section(cls: Any, at: list[str], headers: Mapping[Any, list[str]], found: Mapping[Key, Any]) -> str:
    """A table, under the header of the first of its places."""
    others = ", ".join(f"`{each}`" for each in at[1:])
    said = described(cls)[0]
    also = f" The same in {others}." if others else ""
    return f"## {_title(at)}\n\n{said}{also}\n\n{_rows(cls, headers, found)}\n"


def _scheme(name: str, cls: Any, headers: Mapping[Any, list[str]], found: Mapping[Key, Any]) -> str:
    rows = (
        f"{_rows(cls, headers, found)}\n" if fields_of(cls) else 'It has no keys: `{ scheme = "float16" }`.\n'
    )
    return f"### Scheme `{name}`\n\n{described(cls)[0]}\n\n{rows}"


def _title(at: list[str]) -> str:
    return f"`{at[0]}`" if at[0] else _TOP


def _rows(cls: Any, headers: Mapping[Any, list[str]], found: Mapping[Key, Any]) -> str:
    about = described(cls)[1]
    defaults = {each.name: _default(each) for each in dataclasses.fields(cls)}
    lines = [
        f"| `{name}` | {_type(Key(cls, name), hint, headers)}{_range(cls, name)} | {defaults[name]} "
        f"| {_sentence(about.get(name, ''))} | {_example(Key(cls, name), found, headers)} |"
        for name, (hint, _) in fields_of(cls).items()
    ]
    return "\n".join([_COLUMNS, *lines])


def _type(key: Key, hint: Any, headers: Mapping[Any, list[str]]) -> str:
    return "table of [schemes](#schemes)" if key == _TENSORS else type_of(hint, headers)


def _range(cls: Any, name: str) -> str:
    known = _RANGES.get(cls, {})
    return f", {known[name]}" if name in known else ""


def _sentence(text: str) -> str:
    return (text[:1].upper() + text[1:]).replace("|", "\\|")


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        made = field.default_factory()
        return "empty" if isinstance(made, Mapping) else "its defaults"
    if field.default is dataclasses.MISSING:
        return "**required**"
    if field.default is None or field.default in ("", ()):
        return "—"
    return f"`{as_toml(field.default)}`"


def type_of(hint: Any, headers: Mapping[Any, list[str]]) -> str:
    """What a value of that type is called, with a link where it is a table of its own."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in _SCALARS:
        return _SCALARS[hint]
    if origin is Literal:
        return " ".join(f"`{as_toml(each)}`" for each in arguments if each != "")
    if origin in (Union, types.UnionType):
        return ", or ".join(type_of(each, headers) for each in arguments if each is not type(None))
    if origin is typing.Annotated:  # `OneOrMore`
        inner = typing.get_args(arguments[0])[0]
        return f"{type_of(inner, headers)}, or {type_of(arguments[0], headers)}"
    if origin is tuple:
        return f"list of {_several(arguments[0], headers)}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"table of {_several(arguments[1], headers)}"
    return f"[table](#{_anchor(_title(headers[hint]))})"


def _several(hint: Any, headers: Mapping[Any, list[str]]) -> str:
    """What values of that type are called, where there are any number of them."""
    if typing.get_origin(hint) in (Union, types.UnionType):
        return " and ".join(_several(each, headers) for each in typing.get_args(hint))
    one = type_of(hint, headers)
    return _OF.get(one, one).replace("[table]", "[tables]")


def _anchor(title: str) -> str:
    """The fragment of a heading, as GitHub and the site both make it."""
    return re.sub(r"[^\w\s-]", "", title).strip().lower().replace(" ", "-")


def _example(key: Key, found: Mapping[Key, Any], headers: Mapping[Any, list[str]]) -> str:
    if key not in found:
        return ""
    value = found[key]
    forms = [form for _, form in nested(fields_of(key.table)[key.name][0])]
    if not forms and key != _TENSORS:
        return f"`{key.name} = {as_toml(value)}`"
    inside = headers.get(key.table, [""])[0].strip("[]")
    form = "[[{}]]" if isinstance(value, list) else "[{}]"
    name = f".{quoted(next(iter(value)))}" if any(NAME in each for each in forms) else ""
    return "`" + form.format(f"{inside}.{key.name}{name}".removeprefix(".")) + "`"


def _words(words: Words) -> str:
    lines = [f"| {f'`{word}`' if word else '—'} | {meaning} |" for word, meaning in words.meanings.items()]
    return "\n".join([f"### `{words.key}` of {words.where}\n", "| word | meaning |\n|---|---|", *lines, ""])


def _recipes() -> str:
    """The whole recipes that the examples are taken from."""
    lines = []
    for path in recipes():
        first = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        lines.append(f"- [{path.name}](examples/recipes/{path.name}): {first[:1].lower()}{first[1:]}")
    return "\n".join(["## Whole recipes\n", "The examples above are lines of these.\n", *lines, ""])
