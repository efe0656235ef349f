"""`pocketrec push`: a bundle into a registry, a folder or a bucket."""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketrec.cli.console import examples, print_json, progress_on_stderr, show_bytes
from pocketrec.cli.paths import PATH
from pocketrec.cli.references import PLAIN_HTTP, REFERENCE
from pocketrec.cli.sign import expiry, passphrase_of

if TYPE_CHECKING:
    from pocketrec.package.registry.references import Reference


@click.command(
    epilog=examples(
        "pocketrec push build/sasrec example.com/models/sasrec:1.4.0",
        "pocketrec push build/sasrec example.com/models/sasrec --sign release.pem --expires 365d",
        "pocketrec push build/sasrec example.com/models/sasrec --delta 1.3.0-1.4.0.delta",
        "pocketrec push build/sasrec ./releases",
        "pocketrec push build/sasrec s3://bucket/releases",
    )
)
@click.argument("bundle", type=PATH)
@click.argument("reference", metavar="REF", type=REFERENCE)
@click.option(
    "--sign", "key", type=PATH, default=None, metavar="KEY", help="A private EC key in PEM: sign BUNDLE, too."
)
@click.option("--expires", metavar="WHEN", callback=expiry, help="With --sign: 2027-06-30 or 90d.")
@click.option(
    "--delta",
    "deltas",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="What `pocketrec delta OLD BUNDLE` wrote: who has OLD pulls this in place of files; repeatable.",
)
@click.option("--move", is_flag=True, help="Let the tag leave another release; apps may have pinned it.")
@PLAIN_HTTP
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def push(
    bundle: Path,
    reference: Reference,
    key: Path | None,
    expires: datetime | None,
    deltas: tuple[Path, ...],
    move: bool,
    plain_http: bool,
    as_json: bool,
) -> None:
    """Push BUNDLE to REF: a registry, a folder with an OCI image layout, or a URL for fsspec.

    Without a tag, the bundle's version is the tag. What is there already is not sent again, so a push that
    broke off goes on. A tag that is another release's is not moved. The digest is that of the release:
    evidence, signatures and deltas refer to it. Credentials are those of `docker login`.
    See docs/registry.md.
    """
    from pocketrec.package.created import SOURCE_DATE_EPOCH, created
    from pocketrec.pipeline.registry import push as run

    if expires is not None and key is None:
        raise click.UsageError("--expires is of a signature; pass --sign KEY, too.")
    time = created(os.environ.get(SOURCE_DATE_EPOCH))
    with progress_on_stderr() as progress:
        done = run(
            bundle,
            reference,
            created=time,
            deltas=deltas,
            move=move,
            key=key,
            passphrase=passphrase_of,
            expires=expires,
            plain_http=plain_http,
            progress=progress,
        )
    named = reference.at(done.tag)
    if as_json:
        print_json({"schema": 1, "reference": str(named), **asdict(done)})
        return
    click.echo(f"pushed  {named}")
    click.echo(f"digest  {done.digest}")
    click.echo(f"sent    {done.blobs_sent} of {done.blobs} blobs, {show_bytes(done.bytes_sent)}")
    if done.deltas:
        click.echo(f"deltas  {done.deltas}, from older releases")
    click.echo(f"signed  {'yes' if done.signed else 'no: nobody has signed this release'}")
