"""`pocketrec list`: the releases in a registry, a folder or a bucket."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from pocketrec.cli.console import examples, print_json, print_table, progress_on_stderr, show_bytes
from pocketrec.cli.references import PLAIN_HTTP, REFERENCE

if TYPE_CHECKING:
    from pocketrec.package.registry.references import Reference


@click.command(
    name="list",
    epilog=examples(
        "pocketrec list example.com/models/sasrec",
        "pocketrec list ./releases --json",
    ),
)
@click.argument("reference", metavar="REF", type=REFERENCE)
@PLAIN_HTTP
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_command(reference: Reference, plain_http: bool, as_json: bool) -> None:
    """List the releases at REF: each tag with version, digest, time, size, and whether somebody signed it.

    What it shows is what each release says of itself; `pocketrec pull --key` finds out whether that holds.
    """
    from pocketrec.pipeline.registry import releases

    with progress_on_stderr() as progress:
        found = list(releases(reference, plain_http=plain_http, progress=progress))
    if as_json:
        print_json({"schema": 1, "reference": str(reference), "releases": [asdict(each) for each in found]})
        return
    header = ("tag", "name", "version", "digest", "created", "size", "signed")
    rows = [
        (
            each.tag,
            each.name or "no release",
            each.version,
            each.digest[7:19],
            each.created,
            show_bytes(each.size_bytes),
            "yes" if each.signed else "no",
        )
        for each in found
    ]
    if rows:
        print_table("", header, rows)
    else:
        click.echo(f"no releases at {reference}")
    for each in found:
        if each.problem:
            click.echo(f"{each.tag}: {each.problem}", err=True)
