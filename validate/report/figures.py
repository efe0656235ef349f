"""Figures of the report: what moved and how surely, sizes, times, errors, and what a search found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from markupsafe import Markup

from pocketrec.report import (
    COMPRESSED,
    HISTOGRAM_EDGES,
    ArtifactSize,
    Evidence,
    MetricChange,
    RankingParity,
    RuntimeResult,
    TensorParity,
)
from pocketrec.validate.gates import REFERENCE
from pocketrec.validate.report.headline import change_text, changes_of, main_metric, place
from pocketrec.validate.report.page.chart import Axis, Chart, axis_around
from pocketrec.validate.report.page.parts import figure
from pocketrec.validate.report.page.rows import Dot, dot_rows
from pocketrec.validate.report.page.treemap import Tile, treemap
from pocketrec.validate.report.summary import size_text

_COLORS = 6
_FAR = 1e100  # numbers beyond are no changes
_MOST_TILES = 200
_BEST_DB = 160.0  # of the axis; what is equal stands there


def metric_figures(evidence: Evidence) -> list[Markup]:
    """Returns how every metric moved, a figure per target and runtime, all on one axis."""
    ranked = list(_ranked(evidence))
    axis = _change_axis(change for _, ranking in ranked for change in changes_of(ranking))
    found = []
    for number, (each, ranking) in enumerate(ranked):
        dots = [_dot(change.metric, change, color=number) for change in changes_of(ranking)]
        if dots:
            where = place(each, ranking)
            rows = _rows(dots, axis, f"Change of metrics: {where}")
            found.append(figure(rows, title=where, says=_against(each)))
    return found


def slice_figures(evidence: Evidence) -> list[Markup]:
    """Returns how the main metric moved in each slice, a dot plot per target and runtime, all on one axis."""
    metric, ranked = main_metric(evidence), list(_ranked(evidence))
    slices = [(each, place(each, ranking), list(_slices(ranking, metric))) for each, ranking in ranked]
    axis = _change_axis((change for _, _, found in slices for _, change, _ in found), last=True)
    found = []
    for number, (each, where, parts) in enumerate(slices):
        dots = [
            _dot(name, change, color=number, last=True, hollow=not large) for name, change, large in parts
        ]
        if dots:
            rows = _rows(dots, axis, f"Slices: {where}")
            found.append(figure(rows, title=where, says=f"{metric}, {_against(each)}"))
    return found


def _rows(dots: Sequence[Dot], axis: Axis, label: str) -> Markup:
    """The rows, or a sentence where nothing moved at all."""
    if all(each.value == each.low == each.high == 0 for each in dots):
        names = ", ".join(each.name for each in dots)
        return Markup('<p>Nobody\'s figure differs, in any of these.</p><p class="note">{}</p>').format(names)
    return dot_rows(dots, axis, label=label, zero=0.0)


def _ranked(evidence: Evidence) -> Iterator[tuple[RuntimeResult, RankingParity]]:
    for each in evidence.results:
        if each.target != REFERENCE:
            yield from ((each, ranking) for ranking in each.rankings)


def _slices(ranking: RankingParity, metric: str) -> Iterator[tuple[str, MetricChange, bool]]:
    for each in ranking.slices:
        for change in each.changes:
            if change.metric == metric:
                yield f"{each.name} ({each.examples})", change, each.large


def _against(result: RuntimeResult) -> str:
    return "against the original" if result.target == COMPRESSED else "against its model in PyTorch"


def _change_axis(changes: Iterable[MetricChange], *, last: bool = False) -> Axis:
    """An axis on which 0 stands in the middle."""
    far = 0.0
    for each in changes:
        ends = [each.change]
        interval = each.interval(together=last)
        ends += [] if interval is None else [interval.low, interval.high]
        far = max([far, *(abs(end) for end in ends if abs(end) < _FAR)])
    far = far or 1e-4
    return Axis(label="change; the line is the 95 % interval", low=-1.05 * far, high=1.05 * far)


def _dot(name: str, change: MetricChange, *, color: int, last: bool = False, hollow: bool = False) -> Dot:
    interval = change.interval(together=last)
    return Dot(
        name=name,
        value=change.change if np.isfinite(change.change) else None,
        text=change_text(change, last=last),
        low=None if interval is None else interval.low,
        high=None if interval is None else interval.high,
        hollow=hollow,
        color=color % _COLORS + 1,
    )


def latency_figures(evidence: Evidence) -> list[Markup]:
    """Returns which share of calls took at most how long, a figure per function."""
    functions = sorted({name for result in evidence.results for name in result.latency})
    found = []
    for function in functions:
        samples = {
            place(each): sorted(each.latency[function].samples_ms)
            for each in evidence.results
            if function in each.latency and each.latency[function].samples_ms
        }
        if samples:
            says = "the share of calls that took at most so long; further left is faster"
            found.append(figure(_shares(samples, function), title=f"Calls of {function}", says=says))
    return found


def _shares(samples: dict[str, list[float]], function: str) -> Markup:
    x = axis_around("milliseconds", (value for each in samples.values() for value in each), "log")
    y = Axis(label="share of calls", low=0, high=1)
    chart = Chart(x=x, y=y, label=f"Latency of {function}", height=240)
    for number, (label, values) in enumerate(samples.items()):
        points = [(value, (rank + 1) / len(values)) for rank, value in enumerate(values)]
        chart.steps([(values[0], 0.0), *points], number % _COLORS + 1, label)
    return chart.svg()


def size_figures(evidence: Evidence) -> list[Markup]:
    """Returns a treemap of each artifact's tensors, a colour per dtype."""
    found = []
    for each in evidence.sizes:
        tiles = list(_tiles(each))
        if tiles:
            title = each.target if each.function == "main" else f"{each.target}, {each.function}"
            shown = treemap(tiles, label=f"Bytes of tensors: {title}", groups=_kinds(each))
            found.append(figure(shown, title=title, says=f"{size_text(each.size_bytes)} in all"))
    return found


def _kinds(size: ArtifactSize) -> list[str]:
    return list(dict.fromkeys(each.dtype for each in size.tensors))


def _tiles(size: ArtifactSize) -> Iterator[Tile]:
    kinds = _kinds(size)
    for each in size.tensors[:_MOST_TILES]:
        text = f"{size_text(each.size_bytes)} {each.dtype}"
        yield Tile(name=each.name, weight=each.size_bytes, text=text, group=kinds.index(each.dtype))
    rest = size.tensors[_MOST_TILES:]
    total = sum(each.size_bytes for each in rest)
    if total:
        yield Tile(name=f"{len(rest)} smaller ones", weight=total, text=size_text(total))
    other = size.size_bytes - sum(each.size_bytes for each in size.tensors)
    if other > 0:
        yield Tile(name="graph and metadata", weight=other, text=size_text(other))


def front_figure(evidence: Evidence) -> list[Markup]:
    """Returns the plans that no other beats, with that of this build; nothing where none were searched."""
    if not evidence.front:
        return []
    points = [(100 * each.ratio, 100 * each.distortion) for each in evidence.front]
    chart = Chart(
        x=axis_around("bytes of the weights, in % of float32", (x for x, _ in points), "log"),
        y=axis_around("% of the ranking that moved", (0.0, *(y for _, y in points))),
        label="Compression plans: size against ranking",
        height=260,
    )
    chart.steps(points, 2)
    for (x, y), each in zip(points, evidence.front, strict=True):
        if not each.chosen:
            chart.dot(x, y, 2, f"{size_text(each.size_bytes)}, {y:.2f} % moved")
    for (x, y), each in zip(points, evidence.front, strict=True):
        if each.chosen:
            chart.dot(x, y, 1, f"this build: {size_text(each.size_bytes)}", large=True)
    says = f"{len(points)} plans that none beats in both"
    return [figure(chart.svg(), title="Size against ranking", says=says)]


def parity_figures(evidence: Evidence) -> list[Markup]:
    """Returns how far outputs are from the reference, and how errors are spread, a figure per runtime."""
    found = []
    for number, result in enumerate(each for each in evidence.results if each.parity):
        color = number % _COLORS + 1
        axis = Axis(label="signal to noise in dB; further right is closer", low=0, high=_BEST_DB)
        dots = [_output(each, color) for each in result.parity]
        parts = [dot_rows(dots, axis, label=f"Outputs: {place(result)}")]
        known = (each.histogram for each in result.parity if each.histogram)
        counts = [sum(column) for column in zip(*known, strict=False)]
        if any(each > 0 for each in counts):
            parts.append(_histogram(counts, color, place(result)))
        found.append(figure(Markup("").join(parts), title=place(result), says=result.precision))
    return found


def _output(each: TensorParity, color: int) -> Dot:
    name = f"{each.function}.{each.output}"
    if each.failure or not each.elements:
        return Dot(name=name, value=None, text=f"failed: {each.failure or 'nothing compared'}", color=color)
    ids = f", {each.mismatches} ids differ" if each.mismatches else ""
    value = min(max(each.sqnr_db, 0.0), _BEST_DB) if not np.isnan(each.sqnr_db) else None
    return Dot(
        name=name,
        value=value,
        text=f"{each.sqnr_db:.0f} dB, max |Δ| {each.max_abs_error:.1e}{ids}",
        color=color,
    )


def _histogram(counts: list[int], color: int, label: str) -> Markup:
    chart = Chart(
        x=Axis(
            label="log₁₀ |artifact − reference|; equal ones leftmost",
            low=HISTOGRAM_EDGES[0],
            high=HISTOGRAM_EDGES[-1],
        ),
        y=Axis(label="", low=0, high=max(counts), scale="counts"),
        label=f"Errors: {label}",
        height=110,
    )
    for left, right, count in zip(HISTOGRAM_EDGES, HISTOGRAM_EDGES[1:], counts, strict=False):
        gap = (right - left) / 20
        chart.bar(left + gap, right - gap, 0, count, color, f"{count:,} numbers")
    return chart.svg()
