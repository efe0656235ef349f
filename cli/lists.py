"""What commands that list items share: which method is asked, and how its answer is printed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING, Any

import click

from pocketrec.cli.console import print_json, print_table
from pocketrec.errors import UsageError, meant

if TYPE_CHECKING:
    from pocketrec.package.host.answers import Recommendations
    from pocketrec.pipeline.app import Recommender
    from pocketrec.pipeline.explain import Explained, Moved

_COMMANDS = {
    "recommend": "pocketrec recommend",
    "generate": "pocketrec recommend",
    "search": "pocketrec search",
}
_SHOWN = 3  # items of the history beside a listed one
_LONGEST = 80  # characters of a word in a message
_EFFECT = (
    "because of: an item of the history, and the score less what it is without that item, in the score's own "
    "unit; places where there is no score"
)


def method_of(model: Recommender, stated: str | None, roles: Collection[str], without: str) -> str:
    """The method that is asked: the one stated, else the only one of these roles.

    Raises:
        UsageError: there is none, which `without` says in words, or it is one of several and not said which.
    """
    known = [name for name in model.methods if name.partition("_")[0] in roles]
    if not known:
        raise UsageError(f"{without}; it has {', '.join(model.methods)}, {_asked_by(model.methods)}")
    if stated is None and len(known) == 1:
        return known[0]
    if stated not in known:
        came = "not given" if stated is None else repr(stated)
        raise UsageError(f"--method is {came}; expected one of {', '.join(known)}{meant(stated, known)}")
    return stated


def _asked_by(methods: Collection[str]) -> str:
    """How methods are asked that a command does not ask."""
    commands = {_COMMANDS[role] for role in (name.partition("_")[0] for name in methods) if role in _COMMANDS}
    if commands:
        return f"which {' or '.join(sorted(commands))} asks"
    if all(name.partition("_")[0] == "predict" for name in methods):
        return "and lists items once the contract names the vocabulary of an output's scores"
    return "which pocketrec.load(BUNDLE) has in Python"


def tell_unfounded(given: Mapping[str, Any], found: Recommendations) -> None:
    """Says on stderr that a list follows from no history: none was given, or nothing of it is known."""
    history = given.get("history")
    if history == []:
        others = [name for name in given if name not in ("history", "k", "excluding")]
        what = f"from {', '.join(others)} alone" if others else "from the model alone, for everybody the same"
        click.echo(f"no history was given, so the list follows {what}; add --history ITEM", err=True)
    elif isinstance(history, list) and {*history} <= {each.given for each in found.unknown}:
        click.echo("no item of the history is known, so the list does not follow from it", err=True)


def print_list(
    found: Recommendations,
    reasons: Sequence[Explained] = (),
    choices: Mapping[str, str] | None = None,
    *,
    as_json: bool,
) -> None:
    """Prints a list of items, with what moved each where that is known.

    Words that are unknown go to stderr with what they may have been meant for, or with what there is.

    Args:
        found: the list.
        reasons: of each of its items.
        choices: what can stand in place of an unknown word, by that word.
        as_json: whether JSON is printed.
    """
    from pocketrec.package.host.answers import plain

    for each in found.unknown:
        near = f"did you mean {' or '.join(map(_quoted, each.near))}?" if each.near else ""
        said = [near or (choices or {}).get(each.given, "")]
        click.echo("; ".join([f"unknown: {_quoted(each.given)}", *filter(None, said)]), err=True)
    if as_json:
        why = {"explained": [asdict(each)["moved"] for each in reasons]} if reasons else {}
        print_json({"schema": 1, **_written(plain(found)), **_written(why)})
        return
    rows = [
        (str(place), each.token, each.title, "-" if each.score is None else f"{each.score:.4f}")
        for place, each in enumerate(found, 1)
    ]
    columns = ("", "token", "title", "score")
    if reasons:
        because = [(*row, _because(each)) for row, each in zip(rows, reasons, strict=True)]
        print_table("", (*columns, "because of"), because)
        click.echo(_EFFECT)
    else:
        print_table("", columns, rows)


def _quoted(word: str) -> str:
    return repr(word if len(word) <= _LONGEST else f"{word[:_LONGEST]}…")


def _because(one: Explained) -> str:
    """The items of the history that moved a listed item most, with what they did to its score."""
    return ", ".join(f"{each.given} {_effect(each)}" for each in one.moved[:_SHOWN])


def _effect(moved: Moved) -> str:
    if moved.places is None:
        return "(not listed without it)"
    return f"{moved.places:+d} places" if moved.change is None else f"{moved.change:+.3f}"


def _written(value: Any) -> Any:
    """The value with infinite numbers as words, which JSON has not."""
    if isinstance(value, dict):
        return {key: _written(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_written(each) for each in value]
    return value if not isinstance(value, float) or isfinite(value) else str(value)
