"""`pocketrec diff`: what changed from one release to the next, and what its version has to be."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketrec.cli.console import examples, print_json, print_table, progress_on_stderr
from pocketrec.cli.paths import PATH
from pocketrec.cli.references import BUNDLE
from pocketrec.cli.texts import write_text
from pocketrec.errors import UsageError
from pocketrec.files import check_place

if TYPE_CHECKING:
    from pocketrec.report import ReleaseDiff


@click.command(
    epilog=examples(
        "pocketrec diff release/1.2.0 build/sasrec",
        "pocketrec diff release/1.2.0 build/sasrec --recipe sasrec.toml --html diff.html",
        "pocketrec diff example.com/models/sasrec:1.2.0 build/sasrec --no-latency --json",
        'pocketrec diff release/1.2.0 build/sasrec --markdown "$GITHUB_STEP_SUMMARY"',
    )
)
@click.argument("old", type=BUNDLE)
@click.argument("new", type=BUNDLE)
@click.option("--recipe", type=PATH, default=None, help="NEW's recipe.toml: both rank its evaluation data.")
@click.option("--target", default=None, help="Whose artifacts rank; the first of both that runs everywhere.")
@click.option(
    "--latency/--no-latency",
    default=True,
    help="Call both in turns on this machine, as times of two builds do not compare. Without it nothing "
    "is timed, and the same bundles give the same words.  [default: latency]",
)
@click.option("--markdown", type=PATH, default=None, metavar="FILE", help="Write it as Markdown, too.")
@click.option("--html", type=PATH, default=None, metavar="FILE", help="Write it as one HTML page, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def diff(
    ctx: click.Context,
    old: Path,
    new: Path,
    recipe: Path | None,
    target: str | None,
    latency: bool,
    markdown: Path | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Say what changed from the bundle OLD to the bundle NEW.

    The contract and every word of the vocabularies, in terms of semantic versioning: what breaks an app that
    was written for OLD, and which version is due; how long calls take, in turns; the bytes of artifacts and
    tensors; tools and rewrites. With --recipe, how rankings moved, user by user: metrics with intervals,
    churn, the lists that kept least. Exits with 1 where NEW's version does not say what changed.
    """
    from pocketrec.pipeline.compare.diff import diff as run
    from pocketrec.recipe import Latency

    check_place(markdown, "--markdown", (old, new))
    check_place(html, "--html", (old, new))
    if markdown is not None and html is not None and markdown.resolve() == html.resolve():
        raise UsageError("--markdown and --html have one name; give each a file of its own")
    timed = Latency() if latency else None
    with progress_on_stderr() as progress:
        found = run(old, new, recipe=recipe, target=target, latency=timed, progress=progress)
    _write(found, markdown, html)
    if as_json:
        from pocketrec.report import plain

        print_json({"schema": 1, "passed": found.passed, **plain(asdict(found))})
    else:
        _show(found)
    if not found.passed:
        click.echo(f"failed: {found.bump.message}", err=True)
    ctx.exit(0 if found.passed else 1)


def _show(found: ReleaseDiff) -> None:
    from pocketrec.validate.report.releases.parts import parts_of, shown

    for name, each in (("old", found.old), ("new", found.new)):
        click.echo(f"{name}  {each.name} {each.version}  {each.tree_sha256[:12]}  {each.path}")
    click.echo()
    for part in shown(parts_of(found)):
        click.echo(f"{part.title:<8} {part.said}".rstrip())
        if part.rows:
            print_table("", part.head, part.rows)


def _write(found: ReleaseDiff, markdown: Path | None, html: Path | None) -> None:
    if markdown is not None:
        from pocketrec.validate.report.releases.markdown import releases_markdown

        write_text(markdown, releases_markdown(found))
    if html is not None:
        from pocketrec.validate.report.releases.page import releases_page

        write_text(html, releases_page(found))
