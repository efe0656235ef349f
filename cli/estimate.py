"""`pocketrec experiment estimate`: what a policy would have earned, from the log of another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketrec.cli.console import examples, print_json, print_table
from pocketrec.cli.paths import PATH
from pocketrec.errors import GateFailed, UsageError

if TYPE_CHECKING:
    from pocketrec.pipeline.logged import Logged
    from pocketrec.validate.experiments.estimates import Estimate, NoEstimate


@click.command(
    epilog=examples(
        "pocketrec experiment estimate log.parquet",
        "pocketrec experiment estimate log.parquet --clip 100 --switch 20 --min-lift 0",
        "pocketrec experiment estimate slates.parquet --json",
    )
)
@click.argument("log", type=PATH)
@click.option("--clip", type=float, default=math.inf, help="The largest weight of IPS.  [default: none]")
@click.option(
    "--switch", type=float, default=10.0, show_default=True, help="The largest weight of SWITCH-DR."
)
@click.option("--confidence", type=float, default=0.95, show_default=True, help="Of the intervals.")
@click.option(
    "--interval", type=click.Choice(["bootstrap", "normal"]), default="bootstrap", show_default=True
)
@click.option("--min-rounds", type=float, default=100, show_default=True, help="Effective rounds to require.")
@click.option(
    "--min-rewards", type=float, default=10, show_default=True, help="Effective rewards to require."
)
@click.option("--min-lift", type=float, default=None, help="Exit with 1 where a lift may be below.")
@click.option("--estimator", "names", multiple=True, help="Whose lift has to pass.  [default: all]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def estimate(
    ctx: click.Context,
    log: Path,
    clip: float,
    switch: float,
    confidence: float,
    interval: str,
    min_rounds: float,
    min_rewards: float,
    min_lift: float | None,
    names: Sequence[str],
    as_json: bool,
) -> None:
    """Estimate what a policy would have earned, from the LOG of another (.parquet, .arrow or .feather).

    A row a round: reward, propensity (the chance with which the log's policy drew the action), target (the
    chance that the judged policy gives it); for DR and SWITCH-DR predicted and expected, a model's reward of
    the action and its mean under the judged policy; unit, where rounds of one user repeat. Columns of lists
    are whole lists. Exits with 1 where the log supports no estimate, or --min-lift fails.
    """
    from pocketrec.pipeline.logged import read_logged
    from pocketrec.report import plain
    from pocketrec.validate.experiments.estimates import Asked, NoEstimate
    from pocketrec.validate.experiments.support import Limits

    limits = Limits(effective_rounds=min_rounds, effective_rewards=min_rewards)
    asked = Asked(clip=clip, threshold=switch, confidence=confidence, interval=interval, limits=limits)
    found = read_logged(log, asked)
    failures = [] if min_lift is None else _failures(found, min_lift, names)
    if as_json:
        print_json({"schema": 1, **plain(asdict(found)), "failures": failures})
    else:
        _print_logged(found)
        for each in failures:
            click.echo(f"failed: {each}")
    nothing = all(isinstance(each, NoEstimate) for each in found.estimates)
    ctx.exit(1 if nothing or failures else 0)


def _failures(found: Logged, min_lift: float, names: Sequence[str]) -> list[str]:
    """Why the lifts do not pass, of the estimators that are named or of all."""
    from pocketrec.validate.experiments.estimates import require_lift

    known = {each.estimator: each for each in found.estimates}
    for name in names:
        if name not in known:
            why = f"; {name}: not run, {found.not_run[name]}" if name in found.not_run else ""
            raise UsageError(
                f"--estimator {name!r}: expected one of {', '.join(known)}, which the log allows{why}"
            )
    failures = []
    for name in names or known:
        try:
            require_lift(known[name], min_lift)
        except GateFailed as error:
            failures.append(str(error))
    return failures


def _print_logged(found: Logged) -> None:
    from pocketrec.validate.experiments.estimates import Estimate

    what = "rounds" if found.positions is None else f"lists of {found.positions}"
    click.echo(f"{found.rows} {what}; the log's own policy earned {found.earned:.6g} each\n")
    numbers = [each for each in found.estimates if isinstance(each, Estimate)]
    if numbers:
        confidence = f"{numbers[0].confidence:.4g}"
        header = ("estimator", "value", f"interval at {confidence}", "lift", f"interval at {confidence}")
        print_table("", header, [_row(each) for each in numbers])
    for each in found.estimates:
        if not isinstance(each, Estimate):
            click.echo(f"{each.estimator}: no estimate, {each.reason}: {each.message}")
    for name, why in found.not_run.items():
        click.echo(f"{name}: not run, {why}")
    for line in _support_lines(found.estimates):
        click.echo(line)


def _row(each: Estimate) -> tuple[str, ...]:
    return (
        each.estimator,
        f"{each.value:.4g}",
        f"{each.low:.4g} to {each.high:.4g}",
        f"{each.lift:+.4g}",
        f"{each.lift_low:+.4g} to {each.lift_high:+.4g}",
    )


def _support_lines(estimates: Sequence[Estimate | NoEstimate]) -> list[str]:
    """What the weights are like, a line for each kind of weights."""
    lines: dict[str, list[str]] = {}
    for each in estimates:
        s = each.support
        line = (
            f"effective rounds {s.effective_rounds:.1f} of {s.rounds}, rewards {s.effective_rewards:.1f}; "
            f"weights: mean {s.mean_weight:.4g} ± {s.mean_weight_error:.2g}, largest {s.max_weight:.4g} "
            f"({s.max_share:.2%} of all), 0 in {s.zero_share:.2%}"
        )
        if s.clipped_share:
            line += f", clipped in {s.clipped_share:.2%} ({s.clipped_mass:.1%} of their sum)"
        lines.setdefault(line, []).append(each.estimator)
    return [f"{', '.join(names)}: {line}" for line, names in lines.items()]
