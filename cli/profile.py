"""`pocketrec profile`: where the time and the bytes of an artifact go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from pocketrec.cli.console import examples, print_json, print_table, progress_on_stderr, show_bytes
from pocketrec.cli.numbers import FiniteRange
from pocketrec.cli.paths import PATH
from pocketrec.files import check_place
from pocketrec.recipe.target import ComputeUnits

if TYPE_CHECKING:
    from pocketrec.pipeline.profile.profile import Profile, Side
    from pocketrec.validate.profile.lines import Row
    from pocketrec.validate.profile.placed import OnUnits
    from pocketrec.validate.profile.statistics import Distribution, Percentile, Ratio

_SHOWN = 12  # ops and lines; JSON and HTML have them all


@click.command(
    epilog=examples(
        "pocketrec profile build/sasrec --target onnx",
        "pocketrec profile main.onnx --from build/sasrec --threads 2",
        "pocketrec profile main.mlpackage --inputs in.npz --html profile.html",
        "pocketrec profile build/new --target onnx --against build/old",
    )
)
@click.argument("artifact", type=PATH)
@click.option("--inputs", type=PATH, default=None, help="An .npz file: what it is called on.")
@click.option(
    "--from",
    "source",
    type=PATH,
    default=None,
    help="A bundle, for its golden vectors, or a recipe.toml, for its evaluation data.  "
    "[default: the bundle that holds ARTIFACT, else drawn from its shapes]",
)
@click.option("--against", type=PATH, default=None, help="Another artifact or bundle, called in turns.")
@click.option("--target", metavar="NAME", default=None, help="Of a bundle.")
@click.option("--function", metavar="NAME", default=None, help="Of what holds several.")
@click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True)
@click.option(
    "--runs", type=click.IntRange(2, 1_000_000), default=400, show_default=True, help="Calls that count."
)
@click.option(
    "--runtime", metavar="NAME", default=None, help="The engine; by default the first that is there."
)
@click.option(
    "--compute-units",
    "units",
    type=click.Choice(get_args(ComputeUnits)),
    default=None,
    help="Of Core ML's framework, on a Mac; by default every setting.",
)
@click.option(
    "--timeout",
    type=FiniteRange(0, min_open=True),
    default=None,
    metavar="SECONDS",
    help="For each process that measures; one that hangs is ended.  [default: none]",
)
@click.option("--html", type=PATH, default=None, help="A page to write, with a flame view.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def profile(
    artifact: Path,
    inputs: Path | None,
    source: Path | None,
    against: Path | None,
    target: str | None,
    function: str | None,
    threads: int,
    runs: int,
    runtime: str | None,
    units: str | None,
    timeout: float | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Say where the time, the memory and the bytes of ARTIFACT's calls go: an artifact, or a bundle.

    Loads cold and warm, the first call, peak memory, percentiles with intervals, each op and source line, and
    what a call costs as counted from the graph. With --against, how many times as long ARTIFACT takes as the
    other one, both called in turns.
    """
    from pocketrec.pipeline.profile.profile import Options
    from pocketrec.pipeline.profile.profile import profile as run

    options = Options(
        inputs=inputs,
        source=source,
        target=target,
        function=function,
        threads=threads,
        runs=runs,
        runtime=runtime,
        compute_units=units,
        timeout=timeout,
    )
    read = (artifact, against, source, inputs)
    check_place(html, "--html", [each for each in read if each is not None])
    with progress_on_stderr() as progress:
        found = run(artifact, options, against=against, progress=progress)
    if html is not None:
        _write(html, found)
    print_json(_table(found)) if as_json else _show(found)


def _write(path: Path, found: Profile) -> None:
    from pocketrec.cli.texts import write_text
    from pocketrec.errors import MissingExtra

    try:
        from pocketrec.pipeline.profile.page import to_html
    except ModuleNotFoundError:
        raise MissingExtra("jinja2", "build") from None
    write_text(path, to_html(found))


def _table(found: Profile) -> dict[str, Any]:
    from pocketrec.report import plain

    table: dict[str, Any] = plain({"schema": 1, **asdict(found)})
    table["side"]["pretended"] = found.side.pretended
    for name in ("operations", "read_bytes", "written_bytes"):
        table["cost"][name] = getattr(found.cost, name)
    if found.turns is not None:
        for name, each in found.turns.ratios.items():
            table["turns"]["ratios"][name]["verdict"] = each.verdict
    return table


def _show(found: Profile) -> None:
    sides = (
        [("", found.side)]
        if found.against is None
        else [("this     ", found.side), ("other    ", found.against)]
    )
    for name, side in sides:
        _show_side(name, side, found.threads)
    if found.turns is None:
        _show_latency({"alone": found.side.measured.latency})
    else:
        _show_latency({name: found.turns.latency[name] for name in ("this", "other")})
        click.echo(f"ratio    {_ratio(found.turns.ratios['this'])}\n")
    _show_rows(found)
    for each in found.units:
        _show_units(each)
    for rule in found.rules:
        names = ", ".join(rule.examples) + (", …" if rule.count > len(rule.examples) else "")
        click.echo(f"rule     {rule.rule}, met by {rule.count} ({names}): {rule.says}")
        click.echo(f"         {rule.author}, {rule.source}; not measured")


def _show_side(name: str, side: Side, threads: int) -> None:
    each = side.measured
    click.echo(f"{name}{side.artifact}, function {side.function}")
    where = f"{each.runtime} {each.version}, {each.precision}, {each.compute_units}, threads {threads}"
    click.echo(f"on       {where}")
    if side.pretended:
        click.echo(f"         {side.pretended} plays Core ML here: its times say nothing of a device")
    click.echo(f"inputs   {side.inputs}")
    cold = "its files dropped from the cache" if each.dropped else "its files as they were in the cache"
    warm = sorted(each.load_warm_ms)[len(each.load_warm_ms) // 2]
    click.echo(f"load     cold {each.load_cold_ms:.1f} ms (a fresh process, {cold}), warm {warm:.1f} ms")
    click.echo(f"first    {each.first_call_ms:.3f} ms, the call after the first load")
    memory = each.memory
    if memory.called:
        own = memory.called - memory.imported
        click.echo(
            f"memory   peak {show_bytes(memory.called)}, {show_bytes(own)} of it above the engine's own "
            f"{show_bytes(memory.imported)}"
        )
    click.echo()


def _show_latency(latency: dict[str, Distribution] | Any) -> None:
    rows = [
        (name, each_name.name, f"{each_name.ms:.3f}", _interval(each_name))
        for name, each in latency.items()
        for each_name in each.percentiles
    ]
    print_table("", ("calls", "percentile", "ms", "95% interval"), rows)
    for name, each in latency.items():
        click.echo(f"{name:<8} {'; '.join(_notes(each))}")
    click.echo()


def _interval(each: Percentile) -> str:
    low = "?" if each.low_ms is None else f"{each.low_ms:.3f}"
    return f"{low} to {'? (too few calls)' if each.high_ms is None else f'{each.high_ms:.3f}'}"


def _notes(each: Distribution) -> Iterator[str]:
    steady = each.steadiness
    yield f"{each.calls} calls, {steady.status}"
    if steady.status == "drifting":
        yield f"{steady.drift:+.1%} from the first to the last: not the steady state"
    if steady.repeats > 0.2:
        yield f"a call is like the one before ({steady.repeats:.2f}), so intervals are too narrow"
    if each.outliers.count:
        far = each.outliers
        yield f"{far.count} outliers above {far.fence_ms:.3f} ms, the longest {far.longest_ms:.3f} ms"


def _ratio(each: Ratio) -> str:
    low = "?" if each.low is None else f"{each.low:.3f}"
    high = "?" if each.high is None else f"{each.high:.3f}"
    count = f"{each.processes} processes" if each.processes > 1 else "one process, too few rounds for more"
    interval = f"95% interval {low} to {high} over {count}"
    return f"this takes {each.ratio:.3f} × the other's time, {interval}: {each.verdict}"


def _show_rows(found: Profile) -> None:
    ops = found.ops
    if ops.reason:
        click.echo(f"ops      {ops.reason}")
    else:
        between = ops.total_ms - sum(each.ms for each in ops.ops)
        click.echo(
            f"ops      {ops.source}: {ops.total_ms:.3f} ms a call while watched, {between:.3f} ms between ops"
        )
    cost = found.cost
    sizes = ", sizes of a call" if cost.from_call else ""
    click.echo(
        f"counted  {cost.operations:,} operations, {show_bytes(cost.read_bytes)} read, "
        f"{show_bytes(cost.written_bytes)} written a call{sizes}; from the graph, not measured"
    )
    if cost.uncounted:
        click.echo(
            f"         without {len(cost.uncounted)} ops of unknown sizes: {', '.join(cost.uncounted[:5])}"
        )
    if found.side.unknown:
        click.echo(f"lines    {found.side.unknown}")
    click.echo()
    print_table(
        "", ("line", "module", "ms", "share", "operations", "read", "written", "ops"), _lines(found.lines)
    )
    print_table("", ("op", "name", "ms", "share", "operations", "read", "written", "line"), _ops(found.rows))


def _lines(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    return [(row.source, row.module or "the model itself", *_figures(row), row.type) for row in rows[:_SHOWN]]


def _ops(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    return [(row.type, row.name, *_figures(row), row.source) for row in rows[:_SHOWN]]


def _figures(row: Row) -> tuple[str, ...]:
    return (
        "-" if row.ms is None else f"{row.ms:.4f}",
        "-" if row.share is None else f"{row.share:.1%}",
        "-" if row.operations is None else f"{row.operations:,}",
        "-" if row.read_bytes is None else show_bytes(row.read_bytes),
        "-" if row.written_bytes is None else show_bytes(row.written_bytes),
    )


def _show_units(each: OnUnits) -> None:
    if each.reason or each.predict is None or each.load is None:
        click.echo(f"units    {each.compute_units}: not run, {each.reason}")
        return
    counts: dict[str, int] = {}
    for op in each.plan:
        counts[op.device or "unknown"] = counts.get(op.device or "unknown", 0) + 1
    where = ", ".join(f"{count} on {device}" for device, count in sorted(counts.items()))
    click.echo(
        f"units    {each.compute_units}: p50 {each.predict.p50_ms:.3f} ms by MLModelBenchmarker, load "
        f"{each.load.p50_ms:.1f} ms; the plan has {where}"
    )
    rows = [(op.type, op.name, op.device or "?", op.why_not) for op in each.plan if op.why_not][:_SHOWN]
    if rows:
        print_table("", ("op", "name", "device", "why not the Neural Engine"), rows)
