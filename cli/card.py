"""`pocketrec card`: what a release says of itself, as a model card and as an entry of a changelog."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from pocketrec.cli.console import examples, print_json
from pocketrec.cli.paths import PATH
from pocketrec.cli.texts import whole_text
from pocketrec.files import check_place

if TYPE_CHECKING:
    from pocketrec.pipeline.card import Card

_MARK = "---\nlibrary_name: pocketrec\n"  # by which a card is known that may be written again


@click.command(
    epilog=examples(
        "pocketrec card build/sasrec --out README.md",
        "pocketrec card build/sasrec --previous release/1.3.0 --changelog CHANGELOG.md",
        "pocketrec card build/sasrec --previous release/1.3.0 --json",
    )
)
@click.argument("bundle", type=PATH)
@click.option(
    "--previous", type=PATH, default=None, help="The release before: what changed since is said, too."
)
@click.option("--out", type=PATH, default=None, metavar="FILE", help="Write the card, over an earlier one.")
@click.option("--changelog", type=PATH, default=None, metavar="FILE", help="Put the release's entry into it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def card(
    bundle: Path, previous: Path | None, out: Path | None, changelog: Path | None, as_json: bool
) -> None:
    """Write the model card of BUNDLE from its recipe, contract and evidence.

    Markdown with the metadata of Hugging Face: calls, data, metrics with intervals, slices, latency with the
    machine, limits, and what did not run. What none of them says is called unknown. Prints the card where no
    file is asked for. Runs nothing, and needs no PyTorch.
    """
    from pocketrec.pipeline.card import card_of

    read = [each for each in (bundle, previous) if each is not None]
    check_place(out, "--out", read)
    check_place(changelog, "--changelog", read)
    if out is not None and changelog is not None and out.resolve() == changelog.resolve():
        raise click.UsageError("--out and --changelog are one file; pass two.")
    made = card_of(bundle, previous, date=_date())
    _write(made, out, changelog)
    written = [str(each) for each in (out, changelog) if each is not None]
    if as_json:
        print_json(_to_json(made, written))
    elif written:
        for each in written:
            click.echo(f"wrote    {each}")
        click.echo(f"unknown  {', '.join(made.unknown)}")
    else:
        click.echo(made.text, nl=False)


def _write(made: Card, out: Path | None, changelog: Path | None) -> None:
    """Writes both files, or neither where one cannot be."""
    from pocketrec.errors import UsageError
    from pocketrec.outside import exists, read_text
    from pocketrec.package.card.changelog import with_entry

    if out is not None and exists(out) and not read_text(out, error=UsageError).startswith(_MARK):
        raise UsageError(f"{out}: is no card of pocketrec; remove it, or name another file")
    with ExitStack() as files:  # each stands beside its place before the first takes it
        if changelog is not None:
            there = read_text(changelog, error=UsageError) if exists(changelog) else ""
            text = with_entry(there, made.entry, source=str(changelog))
            if text != there:
                _write_to(files.enter_context(whole_text(changelog)), text)
        if out is not None:
            _write_to(files.enter_context(whole_text(out)), made.text)


def _write_to(file: TextIO, text: str) -> None:
    file.write(text)
    file.flush()  # while there is still a way back


def _date() -> str:
    """The day that SOURCE_DATE_EPOCH names; empty where it is not set, so that every run says the same."""
    from pocketrec.package.created import SOURCE_DATE_EPOCH, created

    epoch = os.environ.get(SOURCE_DATE_EPOCH)
    return "" if epoch is None else created(epoch).partition("T")[0]


def _to_json(made: Card, written: list[str]) -> dict[str, object]:
    changes = made.changes
    return {
        "schema": 1,
        "name": made.name,
        "version": made.version,
        "unknown": list(made.unknown),
        "since": None if changes is None else changes.old.version,
        "level": None if changes is None else changes.level,
        "due": None if changes is None else changes.bump.due,
        "entry": made.entry,
        "written": written,
    }
