"""`pocketrec recommend`: what a bundle recommends, asked in an app's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocketrec.cli.console import examples, print_json, print_table
from pocketrec.cli.paths import PATH
from pocketrec.errors import UsageError
from pocketrec.outside import parse_json

if TYPE_CHECKING:
    from pocketrec.package.host.answers import Recommendations
    from pocketrec.pipeline.app import Recommender
    from pocketrec.pipeline.explain import Explained, Moved

_ROLES = ("recommend", "search", "generate")
_SHOWN = 3  # items of the history beside a listed one


@click.command(
    epilog=examples(
        'pocketrec recommend build/sasrec --history "Toy Story (1995)" --history "Heat (1995)"',
        "pocketrec recommend build/sasrec --history 1 --excluding 1 --k 3 --json",
        'pocketrec recommend build/sasrec --history "Heat (1995)" --history "Fargo (1996)" --explain',
        "pocketrec recommend build/two-tower --set age=25-34 --set gender=F --set occupation=artist",
    )
)
@click.argument("bundle", type=PATH)
@click.option("--history", multiple=True, help="An item, by token or title; the most recent comes last.")
@click.option("--text", default=None, help="What is searched for, where the bundle takes text.")
@click.option("--k", type=int, default=10, show_default=True, help="How many items to list.")
@click.option("--excluding", multiple=True, help="An item that is not listed.")
@click.option(
    "--set", "features", multiple=True, metavar="NAME=VALUE", help="Another argument: JSON or a word."
)
@click.option("--method", default=None, help="Which, where the bundle recommends in several ways.")
@click.option("--target", default=None, help="Whose artifacts run; by default the first ONNX target.")
@click.option("--runtime", default=None, help="The engine; by default the first that is there.")
@click.option(
    "--explain", is_flag=True, help="Show what each item of the history did: the list without it, in turn."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def recommend(
    bundle: Path,
    history: Sequence[str],
    text: str | None,
    k: int,
    excluding: Sequence[str],
    features: Sequence[str],
    method: str | None,
    target: str | None,
    runtime: str | None,
    explain: bool,
    as_json: bool,
) -> None:
    """List what BUNDLE recommends after a history of items, given by token or title.

    Titles and tokens are looked up as a generated package does it; words that the model does not know are
    named on stderr with what they may have been meant for.
    """
    from pocketrec import load
    from pocketrec.pipeline.explain import explain as explained

    with load(bundle, target=target, runtime=runtime) as model:
        name = _method(model, method)
        given: dict[str, Any] = {"k": k, "excluding": list(excluding)}
        given.update(_feature(model, name, each) for each in features)
        if text is not None:
            given["text"] = text
        if history or "history" in model.methods[name]:
            given.setdefault("history", list(history))
        found: Any = model.call(name, given)  # the role lists items
        reasons = explained(model, name, given, found) if explain else ()
    _print(found, as_json, reasons)


def _method(model: Recommender, stated: str | None) -> str:
    """The method that is asked: the one stated, else the only one that lists items."""
    known = [name for name in model.methods if name.partition("_")[0] in _ROLES]
    if not known:
        raise UsageError(f"the bundle lists no items; it has {', '.join(model.methods)}")
    if stated is None and len(known) == 1:
        return known[0]
    if stated not in known:
        came = "not given" if stated is None else repr(stated)
        raise UsageError(f"--method is {came}; expected one of {', '.join(known)}")
    return stated


def _feature(model: Recommender, method: str, stated: str) -> tuple[str, Any]:
    """An argument and its value: JSON where it is a list, an object, or no argument of words; else a word."""
    name, mark, value = stated.partition("=")
    if not mark:
        raise UsageError(f"--set {stated!r}: expected NAME=VALUE")
    if value[:1] in ("[", "{", '"'):
        return name, parse_json(value, name=f"--set {name}", error=UsageError)
    if model.takes_words(method, name):
        return name, value
    try:
        return name, parse_json(value, name=f"--set {name}", error=UsageError)
    except UsageError:
        return name, value  # the call says what was expected


def _print(found: Recommendations, as_json: bool, reasons: Sequence[Explained] = ()) -> None:
    from pocketrec.package.host.answers import plain

    for each in found.unknown:
        near = f"; did you mean {' or '.join(map(repr, each.near))}?" if each.near else ""
        click.echo(f"unknown: {each.given!r}{near}", err=True)
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
    else:
        print_table("", columns, rows)


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
