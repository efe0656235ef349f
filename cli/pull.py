"""`pocketrec pull`: a release from a registry, a folder or a bucket."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketrec.cli.console import examples, plain, print_json, progress_on_stderr, show_bytes
from pocketrec.cli.paths import PATH
from pocketrec.cli.references import PLAIN_HTTP, REFERENCE

if TYPE_CHECKING:
    from pocketrec.package.registry.deltas import ByDelta
    from pocketrec.package.registry.pull import Pulled
    from pocketrec.package.registry.references import Reference


@click.command(
    epilog=examples(
        "pocketrec pull example.com/models/sasrec:1.4.0",
        "pocketrec pull example.com/models/sasrec:1.4.0 --only coreml --out App/Model",
        "pocketrec pull example.com/models/sasrec:1.4.0 --key release.pub.pem",
        "pocketrec pull example.com/models/sasrec:1.5.0 --from sasrec-1.4.0 --out sasrec-1.5.0",
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
    "--from",
    "base",
    type=PATH,
    default=None,
    metavar="OLD",
    help="An older release, from which a delta may lead; the one at --out by default.",
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
    base: Path | None,
    key: Path | None,
    plain_http: bool,
    as_json: bool,
) -> None:
    """Pull the release REF, by tag or by digest, whole or not at all.

    Every file is compared with its digest. A pull that broke off goes on where it stopped, and what an older
    release has, at the same place or at --from, is not fetched; where a delta leads from that release to this
    one (`pocketrec push --delta`), it comes in place of what changed, and what it gives is compared with the
    same digests. With --only, files of other targets are left out, which
    verify knows. With --key, nothing is fetched unless its owner signed the release, as `pocketrec sign` or
    cosign does; it exits with 10 where nobody signed, 11 where another key did, 12 where it was altered, and
    13 where the signature has expired.
    """
    from pocketrec.pipeline.registry import pull as run

    with progress_on_stderr() as progress:
        done = run(
            reference, out=out, only=only, base=base, key=key, plain_http=plain_http, progress=progress
        )
    if as_json:
        print_json({"schema": 1, "reference": str(reference), **asdict(done), "path": str(done.path)})
        return
    click.echo(f"pulled    {done.name} {done.version} to {done.path}")
    click.echo(f"digest    {done.digest}")
    click.echo(f"tree      {done.tree_sha256}")
    without = f"; {len(done.left_out)} left out, which other targets need" if done.left_out else ""
    click.echo(f"files     {done.files}{without}")
    click.echo(f"received  {show_bytes(done.bytes_received)}; {done.fetched} blobs came{_known(done)}")
    _show_delta(done.by_delta)
    click.echo(f"signature {_vouched(done)}")


def _known(done: Pulled) -> str:
    """What did not have to come, in words."""
    kept = f", {done.kept} had come before" if done.kept else ""
    given = "are from the older release and the delta" if done.by_delta.base else "were in the older release"
    return f"{kept}, {done.copied} {given}" if done.copied else kept


def _show_delta(used: ByDelta) -> None:
    if used.base:
        sizes = f"{show_bytes(used.size_bytes)} in place of {show_bytes(used.instead_of_bytes)}"
        click.echo(f"delta     {plain(f'from {used.base}, {sizes}')}")
    elif used.why:
        click.echo(f"delta     {plain(f'none, so whole files came: {used.why}')}")


def _vouched(done: Pulled) -> str:
    vouched = done.vouched
    if not vouched.by:
        return "there is one, which nobody asked to check; pass --key PUB.pem" if vouched.there else "none"
    until = f", until {vouched.expires}" if vouched.expires else ""
    beside = (
        ", by cosign: it vouches for the release and not for its evidence" if vouched.by == "cosign" else ""
    )
    return f"signed with key {vouched.key[:12]}…{until}{beside}"
