"""What two releases were evaluated by: on other data, or at another k, no figure compares with another."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any

from pocketrec.recipe import Evaluate

_LOOKED_AT = ("name", "metrics", "slices", "user")  # more or fewer of them change no other figure
_DEFAULTS = {
    each.name: each.default_factory() if each.default_factory is not MISSING else each.default
    for each in fields(Evaluate)
}


def protocol_of(stated: object) -> dict[str, Any]:
    """What a table `evaluate`, as a bundle holds it, evaluates by; a key that it lacks has its default."""
    given = {**stated} if isinstance(stated, Mapping) else {}
    return {key: _plain(key, given.get(key, default)) for key, default in _DEFAULTS.items()}


def protocols_of(recipe: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The same of every evaluation of a recipe's table, by what each is called."""
    stated = recipe.get("evaluate")
    tables = stated if isinstance(stated, list) and stated else [stated]
    found = (protocol_of(each) for each in tables)
    return {str(each["name"] or each["output"]): each for each in found}


def protocol_as_read(evaluate: Evaluate) -> dict[str, Any]:
    """The same of an evaluation of a recipe that was read."""
    return protocol_of(asdict(evaluate))


def data_of(recipe: Mapping[str, Any], evidence: Mapping[str, Any]) -> dict[str, Any]:
    """The digest of each evaluation's data, by what it is called, as far as evidence says."""
    first, *others = protocols_of(recipe)
    further = evidence.get("further_data")
    known = further if isinstance(further, Mapping) else {}
    return {first: evidence.get("data_sha256")} | {name: known.get(name) for name in others}


def changes_of_protocols(
    old: Mapping[str, Mapping[str, Any]], new: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """What recipes evaluate by, where they differ: evaluations that only one has, then a sentence a key."""
    if len(old) == len(new) == 1:
        yield from changes_of_protocol(*old.values(), *new.values())
        return
    for name in dict.fromkeys((*old, *new)):
        if name in old and name in new:
            yield from (f"{name}: {each}" for each in changes_of_protocol(old[name], new[name]))
        else:
            yield f"evaluate: {name} {'is new' if name in new else 'is gone'}"


def changes_of_protocol(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """What two protocols differ in, a sentence a key."""
    for key in _DEFAULTS:
        if old[key] != new[key]:
            yield f"evaluate.{key}: {_shown(old[key])} → {_shown(new[key])}"


def obstacle(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The first difference by which figures do not compare; empty where there is none."""
    same = {key: old[key] for key in _LOOKED_AT}
    return next(changes_of_protocol(old, {**new, **same}), "")


def _plain(key: str, value: object) -> Any:
    """As JSON has it; one length of lists is the same as a list of one."""
    if value is MISSING:
        return None
    plain = json.loads(json.dumps(value))
    return [plain] if key == "k" and not isinstance(plain, list) else plain


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:76]}..."
