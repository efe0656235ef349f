"""What the blocks of a document are held to without running them: each by its language."""

from __future__ import annotations

import ast
import importlib
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml
from tests.docs.calls import calls, taken
from tests.docs.page import Block, blocks, files
from tests.docs.tables import inside, nested

from pocketrec.errors import RecipeError
from pocketrec.pipeline.split import Experiment
from pocketrec.recipe import Recipe
from pocketrec.schema import fields_of, from_table

# Swift is parsed by tests/package/swift, JavaScript runs, TypeScript and nginx are held by nobody; a text is
# what is printed.
NOT_HELD = frozenset({"swift", "ts", "js", "text", "nginx", "console", "sh", "diff", ""})


def faults(page: str) -> list[str]:
    """What a document shows that cannot be so: the line of the block, and why."""
    wrong = [f"no command takes: {call}" for call in calls(page) if not taken(call)]
    own = {name.removesuffix(".py").rpartition("/")[2] for name in files(page)}
    for block in blocks(page):
        if block.language not in NOT_HELD:
            wrong += [f"line {block.line}: {each}" for each in _held(block, own)]
    return wrong


def _held(block: Block, own: set[str]) -> list[str]:
    if block.language not in _CHECKS:
        return [f"nothing knows the language {block.language!r}"]
    try:
        return list(_CHECKS[block.language](block.text, own))
    except (SyntaxError, ValueError, ImportError, RecipeError, yaml.YAMLError) as error:
        return [f"{type(error).__name__}: {error}"]


def _python(text: str, own: set[str]) -> Iterator[str]:
    """What Python would import in vain."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module not in own:
            module = importlib.import_module(str(node.module))
            missing = [each.name for each in node.names if not _has(module, each.name)]
            yield from (f"{node.module} has no {name}" for name in missing)
        elif isinstance(node, ast.Import):
            for each in node.names:
                if each.name not in own:
                    importlib.import_module(each.name)


def _has(module: Any, name: str) -> bool:
    if hasattr(module, name):
        return True
    try:
        importlib.import_module(f"{module.__name__}.{name}")
    except ImportError:
        return False
    return True


def _toml(text: str, own: set[str]) -> Iterator[str]:
    """Keys that no recipe has, or no experiment."""
    table = tomllib.loads(text)
    if "variants" in table:
        from_table(Experiment, table, source="an experiment")
    else:
        yield from unknown(Recipe, table)


def unknown(cls: Any, table: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """The keys of a table, and of those within it, that its dataclass does not have."""
    fields = fields_of(cls)
    for name, value in table.items():
        if name not in fields:
            yield f"no recipe has {place}{name}"
            continue
        for inner, form in nested(fields[name][0]):
            for each in inside(value, form):
                yield from unknown(inner, each, f"{place}{name}.")


def _json(text: str, own: set[str]) -> Iterator[str]:
    try:
        json.loads(text)
    except ValueError:
        json.loads(f"{{{text}}}")  # a part of a document
    yield from ()


def _yaml(text: str, own: set[str]) -> Iterator[str]:
    yaml.safe_load(text)
    yield from ()


_CHECKS: Mapping[str, Callable[[str, set[str]], Iterator[str]]] = {
    "python": _python,
    "py": _python,
    "toml": _toml,
    "json": _json,
    "yaml": _yaml,
}
