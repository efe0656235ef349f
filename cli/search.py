"""`pocketrec search`: the items of a bundle that a text is about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocketrec.cli.asking import argument_of, ask
from pocketrec.cli.console import examples
from pocketrec.cli.lists import method_of, print_list
from pocketrec.cli.paths import PATH
from pocketrec.errors import UsageError

if TYPE_CHECKING:
    from pocketrec.package.host.answers import Recommendations
    from pocketrec.pipeline.app import Recommender

_LOOKED_FOR = 20  # words: each is compared with every title


@click.command(
    epilog=examples(
        'pocketrec search build/minilm "toys that come alive"',
        'pocketrec search build/minilm "a shark" --k 3 --json',
        'pocketrec search build/minilm "star wars" --excluding "Star Wars (1977)" --target coreml',
    )
)
@click.argument("bundle", type=PATH)
@click.argument("text")
@click.option("--k", type=int, default=10, show_default=True, help="How many items to list.")
@click.option("--excluding", multiple=True, help="An item that is not listed.")
@click.option(
    "--set", "features", multiple=True, metavar="NAME=VALUE", help="Another argument: JSON or a word."
)
@click.option("--method", default=None, help="Which, where the bundle searches in several ways.")
@click.option(
    "--target",
    default=None,
    help="Whose artifacts run; by default the first ONNX target, or the first that --runtime loads.",
)
@click.option("--runtime", default=None, help="The engine; by default the first that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def search(
    bundle: Path,
    text: str,
    k: int,
    excluding: Sequence[str],
    features: Sequence[str],
    method: str | None,
    target: str | None,
    runtime: str | None,
    as_json: bool,
) -> None:
    """List the items of BUNDLE that TEXT is about, best first.

    The text is cut into words as a generated package does it, and a word that the vocabulary has not into
    pieces that it has: what nobody ever wrote has nearest titles, too. Where the model knows neither word nor
    piece, nothing is listed, and titles that hold the text, or are spelled like it, are named on stderr.
    """
    from pocketrec import load

    if not text.strip():
        raise UsageError("TEXT is empty; pass what is searched for")
    with load(bundle, target=target, runtime=runtime) as model:
        name = method_of(model, method, ("search",), "the bundle does not search by text")
        given: dict[str, Any] = {model.text_argument(name): text, "k": k, "excluding": list(excluding)}
        given.update(argument_of(model, name, each) for each in features)
        found = ask(model, name, given) if model.knows(name, text) else _suggested(model, name, text)
    print_list(found, as_json=as_json)  # type: ignore[arg-type]  # the role lists items


def _suggested(model: Recommender, method: str, text: str) -> Recommendations:
    """No item, and what the text, or else each of its first words, may have been meant for."""
    from pocketrec.package.host.answers import Recommendations, Unknown

    items = model.items(model.check_method(method).items)
    whole = items.unknown(text)
    words = list(dict.fromkeys(text.split()))
    if whole.near or len(words) == 1:
        return Recommendations((), [whole])
    looked_for, others = words[:_LOOKED_FOR], words[_LOOKED_FOR:]
    return Recommendations((), [*map(items.unknown, looked_for), *(Unknown(given=each) for each in others)])
