"""`pocketrec tag`: another name for a release that was pushed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pocketrec.cli.console import examples, print_json
from pocketrec.cli.references import PLAIN_HTTP, REFERENCE

if TYPE_CHECKING:
    from pocketrec.package.registry.references import Reference


@click.command(
    epilog=examples(
        "pocketrec tag example.com/models/sasrec:1.4.0 stable --move",
        "pocketrec tag ./releases:1.4.0 1.4",
    )
)
@click.argument("reference", metavar="REF", type=REFERENCE)
@click.argument("new")
@click.option("--move", is_flag=True, help="Let the tag leave another release; apps may have pinned it.")
@PLAIN_HTTP
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def tag(reference: Reference, new: str, move: bool, plain_http: bool, as_json: bool) -> None:
    """Give the release REF, a tag or a digest, the tag NEW, too; no file is sent."""
    from pocketrec.pipeline.registry import tag as run

    digest = run(reference, new, move=move, plain_http=plain_http)
    named = reference.at(new)
    if as_json:
        print_json({"schema": 1, "reference": str(named), "digest": digest})
        return
    click.echo(f"tagged  {named}")
    click.echo(f"digest  {digest}")
