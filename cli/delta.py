"""`pocketrec delta`: what turns one release into the next, as one file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketrec.cli.console import examples, print_json, print_table, progress_on_stderr, show_bytes
from pocketrec.cli.paths import PATH
from pocketrec.files import check_place

if TYPE_CHECKING:
    from pocketrec.package.delta.make import Made


@click.command(
    epilog=examples(
        "pocketrec delta release/1.4.0 release/1.5.0 --out 1.4.0-1.5.0.delta",
        "pocketrec apply release/1.4.0 1.4.0-1.5.0.delta --out release/1.5.0",
    )
)
@click.argument("old", type=PATH)
@click.argument("new", type=PATH)
@click.option("--out", type=PATH, required=True, metavar="FILE", help="The file to write.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def delta(old: Path, new: Path, out: Path, as_json: bool) -> None:
    """Write what turns the bundle OLD into the bundle NEW.

    For each file the rows that changed, or the bits that flipped, of each tensor; what both have in common is
    not in it, and a file is whole where that is smaller. Both bundles are checked before. The file's format,
    and the recipe's keys that make it small, are described in docs/delta.md.
    """
    from pocketrec.pipeline.deltas import delta as run

    check_place(out, "--out", (old, new))
    with progress_on_stderr() as progress:
        made = run(old, new, out, progress=progress)
    if as_json:
        share = made.size_bytes / made.release_bytes
        print_json({"schema": 1, "delta": str(out), "share": share, **asdict(made)})
    else:
        _show(made, out)


def _show(made: Made, out: Path) -> None:
    for name, side in (("old", made.base), ("new", made.target)):
        click.echo(f"{name}    {side.name} {side.version}  {side.tree_sha256[:12]}")
    rows = [
        [
            each.path,
            show_bytes(each.size_bytes),
            show_bytes(each.stored_bytes),
            f"{each.stored_bytes / max(1, each.size_bytes):.1%}",
            "against the older" if each.base else "whole",
        ]
        for each in made.files
    ]
    print_table("", ["file", "size", "in delta", "share", "how"], rows)
    share = made.size_bytes / made.release_bytes
    click.echo(
        f"delta  {show_bytes(made.size_bytes)}, {share:.1%} of {show_bytes(made.release_bytes)}: {out}"
    )
