"""`pocketrec score`: lists of every user, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import click

from pocketrec.cli.console import count_text, examples, print_json, print_table, progress_on_stderr
from pocketrec.cli.paths import PATH
from pocketrec.errors import UsageError

if TYPE_CHECKING:
    from pocketrec.pipeline.score.score import Scored


@click.command(
    epilog=examples(
        "pocketrec score build/sasrec --data users.parquet --out lists.parquet",
        "pocketrec score build/sasrec --data 'users-*.parquet' --out l.parquet --column excluding=history",
        "pocketrec score build/dlrm --data users.parquet --out r.parquet --key member --workers 4",
        "pocketrec score build/sasrec --data u.parquet --out l.parquet --engine dask --address tcp://h:8786",
    )
)
@click.argument("bundle", type=PATH)
@click.option("--data", required=True, help="Parquet or Arrow, a row per user; * names several files.")
@click.option("--out", type=PATH, required=True, help="The .parquet file of lists.")
@click.option("--k", type=int, default=None, help="How many items to list.  [default: 10]")
@click.option("--key", default="user", show_default=True, help="The column that tells users apart.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="ARGUMENT=COLUMN",
    help="The column of an argument, where it is not called like it.",
)
@click.option("--ids", is_flag=True, help="Whole numbers are ids of the vocabulary, not tokens.")
@click.option("--method", default=None, help="Which, where the bundle has several.")
@click.option(
    "--target",
    default=None,
    help="Whose artifacts run; by default the first ONNX target, or the first that --runtime loads.",
)
@click.option("--runtime", default=None, help="The engine; by default the first that is there.")
@click.option("--batch", type=int, default=None, help="Users per call; 1 for each alone.  [default: many]")
@click.option(
    "--parts", type=PATH, default=None, help="The folder of finished parts.  [default: beside the output]"
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="How many compute.  [default: 1, or the whole cluster]"
)
@click.option(
    "--engine",
    type=click.Choice(["local", "threading", "dask", "ray", "spark"]),
    default="local",
    show_default=True,
    help="Of the workers: processes here, or a cluster.",
)
@click.option("--address", help="Of the cluster, such as tcp://host:8786 of a Dask scheduler.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def score(
    bundle: Path,
    data: str,
    out: Path,
    k: int | None,
    key: str,
    columns: Sequence[str],
    ids: bool,
    method: str | None,
    target: str | None,
    runtime: str | None,
    batch: int | None,
    parts: Path | None,
    workers: int | None,
    engine: str,
    address: str | None,
    as_json: bool,
) -> None:
    """Write what BUNDLE recommends to every user, by the very artifact that ships.

    A column per argument of the bundle's method, such as history: lists of tokens or titles. Run again after
    it was killed, the command goes on where it was; the output appears whole. What it holds, and what engines
    need, is in docs/score.md.
    """
    from pocketrec.pipeline.score.score import Terms
    from pocketrec.pipeline.score.score import score as run
    from pocketrec.workers import Workers

    where = Workers(count=workers, engine="loky" if engine == "local" else engine, address=address)
    terms = Terms(
        method=method,
        target=target,
        runtime=runtime,
        k=k,
        key=key,
        columns=dict(map(_pair, columns)),
        ids=ids,
        batch=batch,
    )
    start = monotonic()
    with progress_on_stderr() as progress:
        found = run(bundle, data, out, terms, parts=parts, workers=where, progress=progress)
    seconds = monotonic() - start
    if as_json:
        table = {**asdict(found), "path": str(found.path), "seconds": round(seconds, 3)}
        print_json({"schema": 1, **table})
    else:
        _print(found, seconds)


def _pair(stated: str) -> tuple[str, str]:
    name, mark, column = stated.partition("=")
    if not (name and mark and column):
        raise UsageError(f"--column {stated!r}: expected ARGUMENT=COLUMN")
    return name, column


def _print(found: Scored, seconds: float) -> None:
    about = found.about
    rows = [
        ("bundle", f"{about['bundle']['name']} {about['bundle']['version']}"),
        ("tree", about["bundle"]["tree_sha256"]),
        ("ran", f"{about['method']} of {about['target']} on {about['runtime']} {about['runtime_version']}"),
        ("users", f"{found.users}, in {seconds:.1f} s"),
        ("parts", f"{found.computed} computed, {found.reused} kept from before"),
    ]
    print_table("", ("lists", str(found.path)), rows)
    if found.damaged:
        parts = count_text(found.damaged, "kept part was", "kept parts were")
        click.echo(f"{parts} cut or edited, and computed again")
    if found.short:
        click.echo(f"{count_text(found.short, 'user has', 'users have')} fewer than {about['k']} items")
    if found.unknown:
        users = count_text(found.unknown, "user has", "users have")
        click.echo(f"{users} words that are no items, which became what the contract says")
    if found.unread:
        click.echo(f"columns that nothing was read from: {', '.join(found.unread)}")
