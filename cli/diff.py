"""`pocketrec diff`: what changed from one release to the next, and what its version has to be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketrec.cli.console import examples, print_json, print_table, progress_on_stderr, show_bytes
from pocketrec.cli.paths import PATH

_SHOWN = 8  # tensors of an artifact

if TYPE_CHECKING:
    from pocketrec.pipeline.diff import ReleaseDiff, SizeChange
    from pocketrec.pipeline.moved import Moved
    from pocketrec.report import MetricChange


@click.command(
    epilog=examples(
        "pocketrec diff release/1.2.0 build/sasrec",
        "pocketrec diff release/1.2.0 build/sasrec --recipe sasrec.toml",
        "pocketrec diff release/1.2.0 build/sasrec --json",
    )
)
@click.argument("old", type=PATH)
@click.argument("new", type=PATH)
@click.option("--recipe", type=PATH, default=None, help="NEW's recipe.toml: both rank its evaluation data.")
@click.option("--target", default=None, help="Whose artifacts rank; the first of both that runs everywhere.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def diff(
    ctx: click.Context, old: Path, new: Path, recipe: Path | None, target: str | None, as_json: bool
) -> None:
    """Say what changed from the bundle OLD to the bundle NEW.

    The contract and every word of the vocabularies, in terms of semantic versioning: what breaks an app that
    was written for OLD, and which version is due; the bytes of artifacts and tensors; tools and rewrites.
    With --recipe, how rankings moved, user by user: metrics with intervals, churn, the lists that kept least.
    Exits with 1 where NEW's version does not say what changed.
    """
    from pocketrec.pipeline.diff import diff as run
    from pocketrec.report import plain

    with progress_on_stderr() as progress:
        found = run(old, new, recipe=recipe, target=target, progress=progress)
    if as_json:
        table = asdict(found)
        for each in ("old", "new"):
            table[each]["path"] = str(table[each]["path"])
        print_json({"schema": 1, "passed": found.passed, **plain(table)})
    else:
        _show(found)
    if not found.passed:
        click.echo(f"failed: {found.bump.message}", err=True)
    ctx.exit(0 if found.passed else 1)


def _show(found: ReleaseDiff) -> None:
    for name, each in (("old", found.old), ("new", found.new)):
        click.echo(f"{name}      {each.name} {each.version}  {each.tree_sha256[:12]}  {each.path}")
    click.echo()
    if found.changes:
        rows = [(each.level, each.where, each.what, each.why) for each in found.changes]
        print_table("", ("level", "where", "what", "why"), rows)
    else:
        click.echo("contract  the same for every app\n")
    header = ("target", "function", "tensor", "old", "new", "change")
    print_table("", header, [_row(each) for each in _largest(found.sizes)])
    for tool, (was, now) in found.tools.items():
        click.echo(f"tool     {tool} {was or 'none'} → {now or 'none'}")
    for name, side in found.rewrites.items():
        click.echo(f"rewrite  {name}, only in the {side} one")
    for line in found.protocol:
        click.echo(f"protocol {line}; figures of the two evidences are not comparable")
    _show_ranking(found.ranking)
    click.echo(f"version  {found.bump.message}")


def _show_ranking(found: Moved) -> None:
    if found.quality is None:
        click.echo(f"ranking  {found.reason}")
        return
    click.echo(f"\nranking  {found.quality.examined} examples, target {found.target} on {found.runtime}")
    header = ("metric", "old", "new", "change", "95% interval", "worse for")
    print_table("", header, [_metric(each) for each in found.quality.changes])
    for each in found.quality.slices:
        size = f"{each.examples} examples" + ("" if each.large else ", too few to judge")
        for change in each.changes:
            click.echo(f"slice    {each.name} ({size}): {' '.join(_metric(change)[:5])}")
    for lists in found.quality.lists:
        click.echo(
            f"lists    @{lists.k}: {lists.churn:.1%} of items are new, {lists.changed:.1%} of users have "
            f"another list, {lists.first_changed:.1%} another first item"
        )
    for user in found.worst:
        click.echo(
            f"\nuser {user.row}, {user.overlap:.0%} kept, after {' | '.join(user.history) or 'nothing'}"
        )
        pairs = zip_longest(user.before, user.after, fillvalue="")
        print_table("", ("place", "old", "new"), [(str(place), *pair) for place, pair in enumerate(pairs, 1)])


def _metric(each: MetricChange) -> tuple[str, ...]:
    change = f"{each.after - each.before:+.5f}"
    interval = (
        "none" if not each.intervals else f"{each.intervals[0].low:+.5f} to {each.intervals[0].high:+.5f}"
    )
    worse = f"{each.fell:,} of {each.examples:,} {each.resampled}" if each.examples else ""
    return (each.metric, f"{each.before:.5f}", f"{each.after:.5f}", change, interval, worse)


def _largest(sizes: Sequence[SizeChange]) -> Iterator[SizeChange]:
    """Every artifact, and the largest of its tensors that changed; JSON has them all."""
    shown = 0
    for each in sizes:
        shown = shown + 1 if each.tensor else 0
        if shown <= _SHOWN:
            yield each


def _row(each: SizeChange) -> tuple[str, ...]:
    was, now = each.old_bytes, each.new_bytes
    change = f"{now / was - 1:+.1%}" if was and now is not None else ""
    shown = ("none" if size is None else show_bytes(size) for size in (was, now))
    return (each.target, each.function, each.tensor or "whole", *shown, change)
