"""`pocketrec experiment interleave`: two bundles' lists before simulated users."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketrec.cli.console import examples, print_json, print_table, progress_on_stderr
from pocketrec.cli.paths import PATH

if TYPE_CHECKING:
    from pocketrec.validate.experiments.duel import Duel


@click.command(
    epilog=examples(
        "pocketrec experiment interleave build/sasrec build/sasrec-int4 --recipe sasrec.toml",
        "pocketrec experiment interleave old new --recipe r.toml --method optimized --clicks cascade --json",
    )
)
@click.argument("first", type=PATH)
@click.argument("second", type=PATH)
@click.option("--recipe", type=PATH, default=None, help="Whose evaluation data.  [default: that of FIRST]")
@click.option(
    "--method", type=click.Choice(["team-draft", "optimized"]), default="team-draft", show_default=True
)
@click.option("--clicks", type=click.Choice(["position", "cascade"]), default="position", show_default=True)
@click.option("--k", type=int, default=10, show_default=True, help="The length of the lists.")
@click.option("--users", type=int, default=10_000, show_default=True, help="How many at most.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of coins and clicks.")
@click.option(
    "--relevant", type=float, default=0.9, show_default=True, help="Chance to click on the held-out item."
)
@click.option("--other", type=float, default=0.05, show_default=True, help="Chance to click on another.")
@click.option("--target", default=None, help="Whose artifacts run; by default the first ONNX target.")
@click.option(
    "--evaluate",
    metavar="NAME",
    default=None,
    help="Which of the recipe's evaluations; by default the first that ranks.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def interleave(
    first: Path,
    second: Path,
    recipe: Path | None,
    method: str,
    clicks: str,
    k: int,
    users: int,
    seed: int,
    relevant: float,
    other: float,
    target: str | None,
    evaluate: str | None,
    as_json: bool,
) -> None:
    """Let the lists of the bundles FIRST and SECOND meet over evaluation users, by interleaving.

    Every user sees one list, mixed from both bundles', and clicks as the model of clicks says: a simulation,
    of users who want their held-out item. It shows which lists interleaving would prefer, and how many users
    tell that; not what people will do.
    """
    from pocketrec.cli.recipes import find_recipe
    from pocketrec.pipeline.duels import Terms, duel_bundles
    from pocketrec.validate.experiments.duel import Taste

    terms = Terms(
        method=method,
        clicks=clicks,
        taste=Taste(relevant=relevant, other=other),
        k=k,
        users=users,
        seed=seed,
        target=target,
        evaluate=evaluate,
    )
    with progress_on_stderr() as progress:
        found = duel_bundles(first, second, recipe or find_recipe(first), terms, progress=progress)
    if as_json:
        print_json({"schema": 1, "terms": asdict(terms), **asdict(found)})
    else:
        _print_duel(found, first, second)


def _print_duel(found: Duel, first: Path, second: Path) -> None:
    rows = [(str(first), str(found.first)), (str(second), str(found.second)), ("neither", str(found.ties))]
    print_table(
        f"{found.users} simulated users, {found.same} of them with equal lists", ("credited", "users"), rows
    )
    better = first if found.low > 0 else second
    verdict = "no preference" if found.low <= 0 <= found.high else f"{better} is preferred"
    click.echo(
        f"{verdict}: credit {found.credit:+.4g} ({found.low:+.4g} to {found.high:+.4g} "
        f"at {found.confidence:.0%}), p = {found.p_value:.3g}, preference {found.preference:+.4f}"
    )
    if found.users_needed is not None:
        click.echo(f"{found.users_needed} users tell such a credit from 0 in four of five experiments")
