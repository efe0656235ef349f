"""`pocketrec experiment power` and `ratio`: how many units, and whether they came as assigned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from pocketrec.cli.assign import weights_of
from pocketrec.cli.console import count_text, examples, print_json, print_table
from pocketrec.errors import UsageError

if TYPE_CHECKING:
    from pocketrec.validate.experiments.power import Design, Measure, Plan
    from pocketrec.validate.experiments.ratio import RatioTest


@click.command(
    epilog=examples(
        "pocketrec experiment ratio --observed control=821588 --observed int4=815482",
        "pocketrec experiment ratio --observed a=900 --observed b=88 --variant a=9 --variant b=1 --json",
    )
)
@click.option("--observed", multiple=True, required=True, metavar="NAME=UNITS", help="A variant's units.")
@click.option(
    "--variant", "stated", multiple=True, metavar="NAME=WEIGHT", help="Its weight.  [default: all equal]"
)
@click.option("--threshold", type=float, default=0.0005, show_default=True, help="Of the p-value.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def ratio(
    ctx: click.Context, observed: Sequence[str], stated: Sequence[str], threshold: float, as_json: bool
) -> None:
    """Test whether units came to their variants as they were assigned (sample-ratio mismatch).

    Exits with 1 where they did not: the experiment's data are then not to be trusted.
    """
    from pocketrec.validate.experiments.ratio import check_ratio

    counts = _counts(observed)
    found = check_ratio(counts, weights_of(stated) or dict.fromkeys(counts, 1.0), threshold=threshold)
    if as_json:
        print_json({"schema": 1, **asdict(found), "passed": found.passed})
    else:
        _print_ratio(found)
    ctx.exit(0 if found.passed else 1)


def _counts(observed: Sequence[str]) -> dict[str, int]:
    found = {}
    for each in observed:
        name, mark, count = each.rpartition("=")
        if not mark or not count.isascii() or not count.isdigit() or len(count) > 15:
            raise UsageError(f"--observed {each!r}: expected NAME=UNITS, such as control=50123")
        if name in found:
            raise UsageError(f"--observed {name!r} is stated twice; expected each variant once")
        found[name] = int(count)
    return found


def _print_ratio(found: RatioTest) -> None:
    rows = [
        (name, str(found.observed[name]), f"{mean:.1f}", f"{found.observed[name] - mean:+.1f}")
        for name, mean in found.expected.items()
    ]
    print_table("", ("variant", "observed", "expected", "difference"), rows)
    most = f", most of all in {found.farthest}" if len(found.observed) > 2 else ""  # two miss by as much
    verdict = "as assigned" if found.passed else f"mismatch{most}"
    degrees = count_text(found.degrees, "degree")
    click.echo(
        f"{verdict}: chi-squared {found.statistic:.4g} at {degrees} of freedom, p = {found.p_value:.3g} "
        f"(threshold {found.threshold:g})"
    )


@click.command(
    epilog=examples(
        "pocketrec experiment power --baseline 0.05 --effect 0.002 --daily-units 20000",
        "pocketrec experiment power --deviation 3.2 --effect 0.1 --daily-units 5000 --treatments 2",
        "pocketrec experiment power --baseline 0.05 --relative-effect 0.04 --power 0.9 --json",
    )
)
@click.option("--baseline", type=float, default=None, help="The control's share, such as a click rate.")
@click.option("--deviation", type=float, default=None, help="Or the standard deviation of a mean's units.")
@click.option("--effect", type=float, default=None, help="The smallest to find, absolute.")
@click.option("--relative-effect", type=float, default=None, help="Or as a share of --baseline.")
@click.option("--daily-units", type=float, default=None, help="New units a day, of all variants.")
@click.option("--alpha", type=float, default=0.05, show_default=True, help="Of all comparisons, two-sided.")
@click.option("--power", type=float, default=0.8, show_default=True, help="How often the effect is found.")
@click.option("--treatments", type=int, default=1, show_default=True, help="Variants beside the control.")
@click.option(
    "--ratio", type=float, default=1.0, show_default=True, help="Units of a treatment for one of the control."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def power(
    baseline: float | None,
    deviation: float | None,
    effect: float | None,
    relative_effect: float | None,
    daily_units: float | None,
    alpha: float,
    power: float,
    treatments: int,
    ratio: float,
    as_json: bool,
) -> None:
    """Say how many units an experiment needs and, with --daily-units, how long it runs.

    A share (--baseline) or a mean (--deviation), compared by a two-sided z test; several treatments share
    alpha (Bonferroni). Units are counted once: one that comes back is no new one.
    """
    from pocketrec.validate.experiments.power import Design, plan

    measure = _measure(baseline, deviation)
    design = Design(alpha=alpha, power=power, treatments=treatments, ratio=ratio)
    made = plan(measure, _effect(baseline, effect, relative_effect), design, daily_units=daily_units)
    weeks = _weeks(measure, design, made, daily_units)
    if as_json:
        found = [{"weeks": week, "detectable": least} for week, least in weeks]
        print_json({"schema": 1, **asdict(made), "design": asdict(design), "by_week": found})
    else:
        _print_plan(made, weeks)


def _measure(baseline: float | None, deviation: float | None) -> Measure:
    from pocketrec.validate.experiments.power import Means, Proportions

    if baseline is not None and deviation is None:
        return Proportions(baseline=baseline)
    if deviation is not None and baseline is None:
        return Means(deviation=deviation)
    raise UsageError("pass --baseline for a share, or --deviation for a mean; one of the two")


def _effect(baseline: float | None, effect: float | None, relative: float | None) -> float:
    if effect is not None and relative is None:
        return effect
    if relative is not None and effect is None and baseline is not None:
        return baseline * relative
    raise UsageError("pass --effect, or --relative-effect with --baseline; one of the two")


def _weeks(
    measure: Measure, design: Design, made: Plan, daily_units: float | None
) -> list[tuple[int, float | None]]:
    """What is found by the end of each of some weeks, up to twice those that are planned."""
    from pocketrec.validate.experiments.power import detectable

    if daily_units is None or made.weeks is None:
        return []
    weeks = sorted({1, 2, made.weeks, 2 * made.weeks})
    return [(week, detectable(measure, design, total=7 * week * daily_units)) for week in weeks]


def _print_plan(made: Plan, weeks: Sequence[tuple[int, float | None]]) -> None:
    click.echo(
        f"an effect of {made.effect:+.6g} needs {made.total:,} units: {made.control:,} of the control, "
        f"{made.treatment:,} of each treatment"
    )
    if made.days is None:
        click.echo("pass --daily-units to know how long that takes")
        return
    weeks_text, days = count_text(made.weeks or 0, "week"), count_text(made.days, "day")
    click.echo(f"run for {weeks_text}: the units have come after {days}\n")
    rows = [(str(week), "none" if least is None else f"{least:.3g}") for week, least in weeks]
    print_table("", ("weeks", "smallest rise that is found"), rows)
