"""A profile as one HTML page, on the shell that all pages share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from markupsafe import Markup

from pocketrec.pipeline.profile.profile import OTHER, THIS, Profile, Side
from pocketrec.validate.profile.flame import flame
from pocketrec.validate.profile.lines import Row
from pocketrec.validate.profile.placed import OnUnits
from pocketrec.validate.profile.statistics import Distribution, Ratio
from pocketrec.validate.report.page.parts import (
    Cell,
    badge,
    bullets,
    facts,
    figure_card,
    paragraph,
    table,
    top,
)
from pocketrec.validate.report.page.shell import Section, page
from pocketrec.validate.report.summary import size_text

_HEIGHT = 150  # pixels of the calls in order


def to_html(found: Profile) -> str:
    """Returns the page; the same profile gives the same text."""
    name = found.side.artifact.rpartition("/")[2]
    sections = [
        Section(title="Latency", parts=list(_latency(found))),
        Section(title="Where the time goes", short="Time", parts=list(_time(found))),
        Section(title="Counted from the graph", short="Counted", parts=list(_counted(found))),
    ]
    if found.units:
        sections.append(Section(title="What Core ML says", short="Core ML", parts=list(_units(found.units))))
    if found.rules:
        lead = (
            "What is written of such programs. These are rules, each with its source; nothing was measured."
        )
        sections.append(Section(title="Neural Engine", parts=[_rules(found)], lead=lead))
    sections.append(Section(title="How it was measured", short="How", parts=list(_how(found))))
    return page(name, sections, top=_top(found, name))


def _top(found: Profile, name: str) -> Markup:
    side, latency = found.side, _of(found)
    low, high = latency.percentiles[0].low_ms, latency.percentiles[0].high_ms
    cards = [
        figure_card("median call", f"{latency.p50_ms:.3f} ms", f"95% interval {_span(low, high, '.3f')} ms"),
        figure_card("cold load", f"{side.measured.load_cold_ms:.1f} ms", "the first one of a fresh process"),
        figure_card(
            "peak memory",
            size_text(side.measured.memory.called) if side.measured.memory.called else "not told",
            "of the process, the engine included",
        ),
    ]
    ratio = None if found.turns is None else found.turns.ratios[THIS]
    if ratio is not None:
        cards.append(figure_card("against the other", f"{ratio.ratio:.3f} ×", _ratio_note(ratio)))
    each = side.measured
    says = (
        f"On {each.runtime} {each.version}, {each.precision}, {each.compute_units}, threads: {found.threads}."
    )
    if side.pretended:
        says += f" {side.pretended.capitalize()} plays Core ML here: these times say nothing of a device."
    if side.unknown:
        says += f" No line is known: {side.unknown}."
    steady = latency.steadiness.status
    state = badge(steady, "warn" if steady == "drifting" else "same")
    return top(name, f"function {side.function}", state, says, cards)


def _of(found: Profile) -> Distribution:
    return found.side.measured.latency if found.turns is None else found.turns.latency[THIS]


def _latency(found: Profile) -> Iterator[Markup]:
    turns = found.turns
    named = (
        {"alone": found.side.measured.latency}
        if turns is None
        else {name: turns.latency[name] for name in (THIS, OTHER)}
    )
    rows = [
        (name, each.name, f"{each.ms:.3f}", _span(each.low_ms, each.high_ms, ".3f"))
        for name, latency in named.items()
        for each in latency.percentiles
    ]
    yield table(("calls", "percentile", "ms", "95% interval"), rows, label="Percentiles")
    for name, latency in named.items():
        yield _in_order(name, latency)
    if found.turns is not None:
        yield paragraph(f"This one against the other: {_ratio_note(found.turns.ratios[THIS])}.")


def _in_order(name: str, latency: Distribution) -> Markup:
    """The calls from the first to the last: a drift and outliers are seen at once."""
    least, highest = (max(end, 1e-6) for end in (min(latency.samples_ms), max(latency.samples_ms)))
    room = math.log(highest / least) or 1.0
    dots = Markup("").join(
        Markup('<circle cx="{:.2f}%" cy="{:.1f}" r="2.5"/>').format(
            100 * (place + 0.5) / latency.calls,
            _HEIGHT - 5 - (_HEIGHT - 10) * math.log(max(ms, 1e-6) / least) / room,
        )
        for place, ms in enumerate(latency.samples_ms)
    )
    steady, far = latency.steadiness, latency.outliers
    ends = f"{least:.3f} to {highest:.3f} ms on a logarithmic scale"
    says = f"{latency.calls} calls in order, {name}, {ends}: {steady.status}"
    if steady.status == "drifting":
        says += f", {steady.drift:+.1%} from the first to the last"
    says += f"; {far.count} outliers above {far.fence_ms:.3f} ms, which stay in every figure."
    return Markup(
        '<figure><svg role="img" aria-label="{0}" width="100%" height="{1}" class="f1">'
        '<line class="axis" x1="0" x2="100%" y1="{1}" y2="{1}"/>{2}</svg>'
        "<figcaption>{0}</figcaption></figure>"
    ).format(says, _HEIGHT, dots)


def _time(found: Profile) -> Iterator[Markup]:
    yield flame(found.rows, found.side.function)
    ops = found.ops
    if ops.reason:
        yield paragraph(f"Times by op were not measured: {ops.reason}. Widths are operations.")
    else:
        between = ops.total_ms - sum(each.ms for each in ops.ops)
        yield paragraph(
            f"{ops.source}, the mean of the fastest quarter of the calls: {ops.total_ms:.3f} ms a call while "
            f"it is watched, {between:.3f} ms of it between ops."
        )
    head = ("line", "module", "ms", "share", "operations", "read", "written", "ops")
    rows = [(row.source, row.module or "the model itself", *_figures(row), row.type) for row in found.lines]
    yield table(head, rows, label="Lines of source", caption=True)
    ops_head = ("op", "name", "line", "ms", "share", "operations", "read", "written")
    ops_rows = [(row.type, row.name, row.source, *_figures(row)) for row in found.rows]
    yield table(ops_head, ops_rows, label="Ops", caption=True)


def _figures(row: Row) -> tuple[str | Cell, ...]:
    return (
        "—" if row.ms is None else f"{row.ms:.4f}",
        "—" if row.share is None else f"{row.share:.1%}",
        "—" if row.operations is None else f"{row.operations:,}",
        _size(row.read_bytes),
        _size(row.written_bytes),
    )


def _size(size: int | None) -> str | Cell:
    return "—" if size is None else Cell(text=size_text(size), order=size)


def _counted(found: Profile) -> Iterator[Markup]:
    cost = found.cost
    sizes = (
        "those of a call, where the file leaves them open" if cost.from_call else "as the file states them"
    )
    pairs = [
        ("operations a call", f"{cost.operations:,}"),
        ("bytes read a call", size_text(cost.read_bytes)),
        ("bytes written a call", size_text(cost.written_bytes)),
        ("sizes", sizes),
    ]
    if cost.uncounted:
        pairs.append(("not counted, sizes unknown", ", ".join(cost.uncounted)))
    yield facts(pairs)
    yield paragraph("Counted op by op from the program, by fixed formulas: what it says, and no measurement.")


def _units(units: Sequence[OnUnits]) -> Iterator[Markup]:
    rows = []
    for each in units:
        figures = [
            "not run" if timed is None else f"{timed.p50_ms:.3f}" for timed in (each.predict, each.load)
        ]
        rows.append((each.compute_units, *figures, each.reason))
    head = ("compute units", "p50 ms", "load ms", "why not")
    yield table(head, rows, label="MLModelBenchmarker", caption=True)
    for each in units:
        places = [
            (op.type, op.name, op.device or "not said", ", ".join(op.supported), op.why_not)
            for op in each.plan
        ]
        if places:
            places_head = ("op", "name", "device", "supported on", "why not the Neural Engine")
            yield table(places_head, places, label=f"MLComputePlan, {each.compute_units}", caption=True)


def _rules(found: Profile) -> Markup:
    rows = [
        (rule.rule, str(rule.count), ", ".join(rule.examples), rule.says, rule.author, _link(rule.source))
        for rule in found.rules
    ]
    return table(("rule", "met by", "such as", "what is written", "by", "source"), rows, label="Rules")


def _link(url: str) -> Markup:
    return Markup('<a href="{0}" rel="noreferrer">{0}</a>').format(url)


def _how(found: Profile) -> Iterator[Markup]:
    sides: Mapping[str, Side] = {"this": found.side} | (
        {} if found.against is None else {"other": found.against}
    )
    for name, side in sides.items():
        each = side.measured
        yield facts(
            [
                (name, f"{side.artifact}, function {side.function}"),
                ("inputs", side.inputs),
                ("load warm", ", ".join(f"{ms:.1f} ms" for ms in each.load_warm_ms)),
                ("first call", f"{each.first_call_ms:.3f} ms"),
                (
                    "memory",
                    f"{size_text(each.memory.imported)} imported, {size_text(each.memory.loaded)} loaded",
                ),
                (
                    "files dropped from the cache",
                    "asked for" if each.dropped else "the system cannot be asked",
                ),
            ]
        )
    machine = found.machine
    yield bullets(
        [
            f"{machine.processor}, {machine.cores} cores, {machine.memory_gb:g} GiB, {machine.system}",
            "Intervals of percentiles are those of order statistics, which hold for any distribution of "
            "independent calls.",
        ]
    )


def _ratio_note(each: Ratio) -> str:
    return f"{each.verdict}, 95% interval {_span(each.low, each.high, '.3f')} times its time"


def _span(low: float | None, high: float | None, form: str) -> str:
    return " to ".join("?" if each is None else format(each, form) for each in (low, high))
