"""`pocketrec sign`: whoever holds the key vouches for a bundle."""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketrec.cli.console import examples, print_json
from pocketrec.cli.paths import PATH

if TYPE_CHECKING:
    from pocketrec.package.sign.check import Signed

_DAYS = re.compile(r"([1-9][0-9]{0,4})d")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def expiry(ctx: click.Context, param: click.Parameter, text: str | None) -> datetime | None:
    """The time that `text` names, in UTC; None for none, a usage error where it is no time to come."""
    if text is None:
        return None
    now = datetime.now(UTC)
    try:
        time = _time(text, now)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{text!r}; expected 2027-06-30, 2027-06-30T12:00:00Z or 90d.") from None
    if time <= now:
        raise click.BadParameter(f"{text!r} is over; expected a time to come.")
    return time


def builder_uri(ctx: click.Context, param: click.Parameter, text: str) -> str:
    """The URI that `text` is; empty for none, a usage error where it is no URI."""
    if text and not (_URI.fullmatch(text) and text.isprintable()):
        raise click.BadParameter(f"{text!r}; expected a URI, such as https://ci.example/runners/1.")
    return text


def _time(text: str, now: datetime) -> datetime:
    """A day's end in UTC, a time with its zone, or a number of days from now."""
    if days := _DAYS.fullmatch(text):
        return now + timedelta(days=int(days[1]))
    if _DAY.fullmatch(text):
        text += "T23:59:59Z"
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("it names no zone")
    return time.astimezone(UTC)


@click.command(
    epilog=examples(
        "openssl ecparam -name prime256v1 -genkey -noout -out release.pem",
        "openssl pkey -in release.pem -pubout -out release.pub.pem",
        "pocketrec sign build/sasrec --key release.pem --expires 365d",
        "pocketrec verify build/sasrec --key release.pub.pem",
    )
)
@click.argument("bundle", type=PATH)
@click.option("--key", type=PATH, required=True, help="A private EC key in PEM, on P-256, P-384 or P-521.")
@click.option(
    "--expires", metavar="WHEN", callback=expiry, help="2027-06-30 or 90d; a signature has no end by default."
)
@click.option(
    "--builder",
    default="",
    metavar="URI",
    callback=builder_uri,
    help="What built BUNDLE, for provenance.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def sign(bundle: Path, key: Path, expires: datetime | None, builder: str, as_json: bool) -> None:
    """Sign BUNDLE: its manifest, the evidence, the provenance, and a bill of materials; offline.

    Writes BUNDLE/signatures/ and nothing else, so the digest of the release stays. Files are not hashed
    again: verify the bundle before. Refuses a bundle whose gates failed. An encrypted key's passphrase comes
    from POCKETREC_KEY_PASSPHRASE, or, on a terminal, from a prompt. The file is described in docs/trust.md.
    """
    from pocketrec.package.created import SOURCE_DATE_EPOCH, created
    from pocketrec.package.sign.keys import loose_permissions
    from pocketrec.pipeline.trust import sign as run

    time = created(os.environ.get(SOURCE_DATE_EPOCH))
    signed = run(bundle, key, passphrase=passphrase_of, time=time, expires=expires, builder=builder)
    if warning := loose_permissions(key):
        click.echo(f"warning: {warning}", err=True)
    _print(bundle, signed, as_json)


def passphrase_of() -> str | None:
    """From the environment, or typed on a terminal without being shown; None where there is neither."""
    from pocketrec.package.sign.keys import PASSPHRASE

    given = os.environ.get(PASSPHRASE)
    if given is not None or not on_terminal():
        return given
    return str(click.prompt("Passphrase of the key", hide_input=True, err=True))


def on_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _print(bundle: Path, signed: Signed, as_json: bool) -> None:
    from pocketrec.package.sign.files import SIGNATURE_FILES
    from pocketrec.package.sign.model import to_text

    expires = "" if signed.expires is None else to_text(signed.expires)
    if as_json:
        names = ("name", "version", "tree_sha256", "manifest_sha256", "key", "others")
        said = {name: getattr(signed, name) for name in names}
        print_json({"schema": 1, **said, "expires": expires, "files": SIGNATURE_FILES})
        return
    click.echo(f"signed   {signed.name} {signed.version}")
    click.echo(f"tree     {signed.tree_sha256}")
    click.echo(f"key      {signed.key}")
    click.echo(f"expires  {expires or 'never'}")
    for name in SIGNATURE_FILES:
        click.echo(f"written  {bundle / name}")
