"""`pocketrec recommend`: what a bundle recommends, asked in an app's words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from pocketrec.cli.asking import argument_of, ask, choices_of
from pocketrec.cli.console import examples
from pocketrec.cli.lists import method_of, print_list, tell_unfounded
from pocketrec.cli.paths import PATH

_ROLES = ("recommend", "search", "generate")


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
@click.option(
    "--target",
    default=None,
    help="Whose artifacts run; by default the first ONNX target, or the first that --runtime loads.",
)
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
        name = method_of(model, method, _ROLES, "the bundle lists no items")
        given: dict[str, Any] = {"k": k, "excluding": list(excluding)}
        given.update(argument_of(model, name, each) for each in features)
        if text is not None:
            given["text"] = text
        if history or "history" in model.methods[name]:
            given.setdefault("history", list(history))
        found: Any = ask(model, name, given)  # the role lists items
        reasons = explained(model, name, given, found) if explain else ()
        choices = choices_of(model, name, given) if found.unknown else {}
    tell_unfounded(given, found)
    print_list(found, reasons, choices, as_json=as_json)
