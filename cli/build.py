"""`pocketrec build`: a recipe in, a proven bundle out."""

from __future__ import annotations

import re
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocketrec.cli.console import examples, print_json, print_table, progress_on_stderr
from pocketrec.cli.paths import PATH

if TYPE_CHECKING:
    from pocketrec.pipeline.build import BuildResult
    from pocketrec.validate.report.summary import SummaryRow


@click.command(
    epilog=examples(
        "pocketrec build recipe.toml",
        "pocketrec build recipe.toml --target onnx --out build/onnx-only --json",
        "pocketrec build recipe.toml --baseline release/1.2.0",
        "pocketrec build recipe.toml --workers 2 --parts /scratch/parts",
    )
)
@click.argument("recipe", type=PATH)
@click.option("--out", type=PATH, help="The bundle's folder.  [default: build/NAME]")
@click.option(
    "--target", "targets", multiple=True, metavar="NAME", help="A target of the recipe; repeatable."
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="How many search for a plan and examine the evaluation data.  [default: 1, or the whole cluster]",
)
@click.option(
    "--engine",
    default="loky",
    metavar="NAME",
    help="Of the workers: loky here, or dask, ray or spark on a cluster.  [default: loky]",
)
@click.option("--address", help="Of the cluster, such as tcp://host:8786 of a Dask scheduler.")
@click.option(
    "--baseline",
    type=PATH,
    metavar="BUNDLE",
    help="The release before: what changed since is in the report, and [gates.versus] decides on it.",
)
@click.option(
    "--parts",
    type=PATH,
    help="Keeps finished parts of the evaluation, so that a build that was killed goes on when it is run "
    "again; removed when it is done.  [default: OUT.parts]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def build(
    ctx: click.Context,
    recipe: Path,
    out: Path | None,
    targets: tuple[str, ...],
    workers: int | None,
    engine: str,
    address: str | None,
    baseline: Path | None,
    parts: Path | None,
    as_json: bool,
) -> None:
    """Build RECIPE: convert, prove, measure, and write the bundle.

    Exits with 1 where a gate failed; the evidence is written all the same. A build that was killed goes on
    where it was when the same command is run again.
    """
    from pocketrec.pipeline.build import build as run
    from pocketrec.workers import Workers

    where = Workers(count=workers, engine=engine, address=address)
    with progress_on_stderr() as progress:
        result = run(
            recipe,
            out=out,
            targets=targets,
            baseline=baseline,
            progress=progress,
            workers=where,
            parts=parts,
        )
    if as_json:
        print_json(_to_json(result))
    else:
        _print(result)
    for gate in result.evidence.gates:
        if gate.status == "failed":
            place = f"{gate.where}: " if gate.where else ""
            click.echo(f"failed: {place}{gate.gate}: {gate.message}", err=True)
    ctx.exit(0 if result.passed else 1)


def _print(result: BuildResult) -> None:
    from pocketrec.validate.report.headline import not_run, place
    from pocketrec.validate.report.summary import SummaryRow, notes, summary_rows

    rows = [tuple(asdict(_narrow(row)).values()) for row in summary_rows(result.evidence)]
    header = [each.name for each in fields(SummaryRow)]
    print_table(result.evidence.recipe, header, rows)
    for note in notes(result.evidence):
        click.echo(note)
    for each in not_run(result.evidence):
        click.echo(f"Not run: {place(each)}: {each.reason}")
    click.echo()
    click.echo(f"bundle  {result.path}")
    click.echo(f"report  {result.report}")
    click.echo(f"tree    {result.tree_sha256}")
    click.echo("passed" if result.passed else "failed")


def _narrow(row: SummaryRow) -> SummaryRow:
    """The row for a table of 120 columns: a line per metric, the precision's first word."""
    ranking = re.sub(r"(?<=[\d\]]) (?=[a-z\[])", "\n", row.ranking)
    precision = row.precision.partition(" ")[0]
    return replace(row, ranking=ranking, precision=precision, p50=row.p50.replace(" (", "\n("))


def _to_json(result: BuildResult) -> dict[str, Any]:
    import json

    return {
        "schema": 1,
        "passed": result.passed,
        "bundle": str(result.path),
        "report": str(result.report),
        "tree_sha256": result.tree_sha256,
        "parts": dict(result.parts),
        "evidence": json.loads(result.evidence.to_json()),
    }
