"""`pocketrec apply`: an older release and a delta to the newer release."""

from __future__ import annotations

from pathlib import Path

import click

from pocketrec.cli.console import examples, print_json, progress_on_stderr
from pocketrec.cli.paths import PATH


@click.command(
    epilog=examples(
        "pocketrec apply release/1.4.0 1.4.0-1.5.0.delta --out release/1.5.0",
        "pocketrec verify release/1.5.0 --key release.pub.pem",
    )
)
@click.argument("old", type=PATH)
@click.argument("delta", type=PATH)
@click.option("--out", type=PATH, required=True, help="The newer bundle's folder; it may be OLD's own.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def apply(old: Path, delta: Path, out: Path, as_json: bool) -> None:
    """Turn the bundle OLD into the newer one that DELTA leads to, bit for bit.

    Every file has to be what the newer manifest says before anything is put at --out, so a delta that was cut
    or altered, one from another release, a full disk and a kill leave what was there. Whether somebody
    vouches for the newer bundle is for `pocketrec verify --key`.
    """
    from pocketrec.pipeline.deltas import apply as run

    with progress_on_stderr() as progress:
        made = run(old, delta, out, progress=progress)
    manifest = made.manifest
    if as_json:
        said = {"name": manifest.name, "version": manifest.version, "tree_sha256": manifest.tree_sha256}
        print_json({"schema": 1, "bundle": str(out), **said})
        return
    click.echo(f"bundle   {out}")
    click.echo(f"release  {manifest.name} {manifest.version}")
    click.echo(f"tree     {manifest.tree_sha256}")
