"""`pocketrec pull`: a release from a registry, a folder or a bucket."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketrec.cli.console import examples, print_json, progress_on_stderr, show_bytes
from pocketrec.cli.paths import PATH
from pocketrec.cli.references import PLAIN_HTTP, REFERENCE

if TYPE_CHECKING:
    from pocketrec.package.registry.pull import Pulled
    from pocketrec.package.registry.references import Reference


@click.command(
    epilog=examples(
        "pocketrec pull example.com/models/sasrec:1.4.0",
        "pocketrec pull example.com/models/sasrec:1.4.0 --only coreml --out App/Model",
        "pocketrec pull example.com/models/sasrec:1.4.0 --key release.pub.pem",
        "pocketrec pull ./releases:1.4.0 --out build/sasrec",
    )
)
@click.argument("reference", metavar="REF", type=REFERENCE)
@click.option(
    "--only", multiple=True, metavar="TARGET", help="Take what an app of this target needs; repeatable."
)
@click.option(
    "--out", type=PATH, default=None, metavar="DIR", help="Where it goes; here, by the bundle's name."
)
@click.option(
    "--key",
    type=PATH,
    default=None,
    metavar="KEY",
    help="A public key in PEM; its owner must have signed it.",
)
@PLAIN_HTTP
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def pull(
    reference: Reference,
    only: tuple[str, ...],
    out: Path | None,
    key: Path | None,
    plain_http: bool,
    as_json: bool,
) -> None:
    """Pull the release REF, by tag or by digest, whole or not at all.

    Every file is compared with its digest. A pull that broke off goes on where it stopped, and what an older
    release at the same place has is not fetched. With --only, files of other targets are left out, which
    verify knows. With --key, nothing is fetched unless its owner signed the release, as `pocketrec sign` or
    cosign does; it exits with 10 where nobody signed, 11 where another key did, 12 where it was altered, and
    13 where the signature has expired.
    """
    from pocketrec.pipeline.registry import pull as run

    with progress_on_stderr() as progress:
        done = run(reference, out=out, only=only, key=key, plain_http=plain_http, progress=progress)
    if as_json:
        print_json({"schema": 1, "reference": str(reference), **asdict(done), "path": str(done.path)})
        return
    click.echo(f"pulled    {done.name} {done.version} to {done.path}")
    click.echo(f"digest    {done.digest}")
    click.echo(f"tree      {done.tree_sha256}")
    without = f"; {len(done.left_out)} left out, which other targets need" if done.left_out else ""
    click.echo(f"files     {done.files}{without}")
    click.echo(f"received  {show_bytes(done.bytes_received)}; {done.fetched} blobs came{_known(done)}")
    click.echo(f"signature {_vouched(done)}")


def _known(done: Pulled) -> str:
    """What did not have to come, in words."""
    kept = f", {done.kept} had come before" if done.kept else ""
    return f"{kept}, {done.copied} were in the older release" if done.copied else kept


def _vouched(done: Pulled) -> str:
    vouched = done.vouched
    if not vouched.by:
        return "there is one, which nobody asked to check; pass --key PUB.pem" if vouched.there else "none"
    until = f", until {vouched.expires}" if vouched.expires else ""
    beside = (
        ", by cosign: it vouches for the release and not for its evidence" if vouched.by == "cosign" else ""
    )
    return f"signed with key {vouched.key[:12]}…{until}{beside}"
