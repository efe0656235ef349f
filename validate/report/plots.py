"""Figures of a report as inline SVG: errors, latencies, sizes, and what a search found."""

from __future__ import annotations

import numpy as np

from pocketrec.report import HISTOGRAM_EDGES, ArtifactSize, Evidence, RuntimeResult
from pocketrec.validate.report.chart import Axis, Chart, axis_around

_BLUE, _ORANGE = "#4c8dd6", "#c47f2f"
_COLORS = (_BLUE, _ORANGE, "#55a868", "#b0609c", "#8a7ad0", "#c0574f")
_LARGEST = 12  # tensors that are shown by name
_NAME = 40  # letters of a tensor's name


def plots(evidence: Evidence) -> list[tuple[str, str]]:
    """(title, SVG) of every figure for which the evidence has data."""
    return [*_errors(evidence), *_latencies(evidence), *_sizes(evidence), *_front(evidence)]


def _label(result: RuntimeResult) -> str:
    return f"{result.target} · {result.runtime}"


def _errors(evidence: Evidence) -> list[tuple[str, str]]:
    found = []
    for result in evidence.results:
        counts = np.sum([each.histogram for each in result.parity if each.histogram], axis=0)
        if np.any(counts):
            found.append((f"Errors: {_label(result)}", _histogram([int(each) for each in counts])))
    return found


def _histogram(counts: list[int]) -> str:
    label = "log10 |artifact - reference|; equal numbers stand leftmost"
    chart = Chart(
        x=Axis(label=label, low=HISTOGRAM_EDGES[0], high=HISTOGRAM_EDGES[-1]),
        y=Axis(label="numbers", low=0, high=max(counts), scale="counts"),
        height=180,
    )
    for left, right, count in zip(HISTOGRAM_EDGES, HISTOGRAM_EDGES[1:], counts, strict=False):
        gap = (right - left) / 20
        chart.bar(left + gap, right - gap, 0, count, _BLUE)
    return chart.svg()


def _latencies(evidence: Evidence) -> list[tuple[str, str]]:
    functions = sorted({name for result in evidence.results for name in result.latency})
    found = []
    for function in functions:
        samples = {
            _label(each): sorted(each.latency[function].samples_ms)
            for each in evidence.results
            if function in each.latency and each.latency[function].samples_ms
        }
        if samples:
            found.append((f"Latency: {function}", _shares(samples)))
    return found


def _shares(samples: dict[str, list[float]]) -> str:
    """Which share of the calls took at most how long, a line for each of the samples."""
    x = axis_around("latency in ms", (value for each in samples.values() for value in each), "log")
    chart = Chart(x=x, y=Axis(label="share of calls", low=0, high=1), height=220)
    for number, (label, values) in enumerate(samples.items()):
        points = [(value, (place + 1) / len(values)) for place, value in enumerate(values)]
        chart.steps([(values[0], 0.0), *points], _COLORS[number % len(_COLORS)], label)
    return chart.svg()


def _sizes(evidence: Evidence) -> list[tuple[str, str]]:
    return [
        (f"Size per tensor: {each.target}, {each.function}", _size_svg(each))
        for each in evidence.sizes
        if each.tensors
    ]


def _size_svg(size: ArtifactSize) -> str:
    shown = size.tensors[:_LARGEST]
    names = [f"{each.name[:_NAME]} {each.dtype}" for each in shown]
    values = [each.size_bytes for each in shown]
    rest = sum(each.size_bytes for each in size.tensors[_LARGEST:])
    if rest:
        names.append(f"{len(size.tensors) - _LARGEST} smaller ones")
        values.append(rest)
    chart = Chart(
        x=Axis(label="kB", low=0, high=max(*values, 1) / 1000),
        y=Axis(label="", low=len(names), high=0, names=names),
        height=56 + 18 * len(names),
    )
    for number, value in enumerate(values):
        chart.bar(0, value / 1000, number + 0.1, number + 0.9, _ORANGE)
    return chart.svg()


def _front(evidence: Evidence) -> list[tuple[str, str]]:
    if not evidence.front:
        return []
    points = [(100 * each.ratio, 100 * each.distortion) for each in evidence.front]
    chart = Chart(
        x=axis_around("bytes of the weights, in % of float32", (x for x, _ in points), "log"),
        y=axis_around("% of the ranking that moved", (0.0, *(y for _, y in points))),
        height=220,
    )
    chart.steps(points, _BLUE)
    for (x, y), each in zip(points, evidence.front, strict=True):
        color, label = (_ORANGE, "this build") if each.chosen else (_BLUE, "")
        chart.dot(x, y, color, label)
    return [("Compression: size against ranking", chart.svg())]
