"""Figures of a report as inline SVG: errors, latencies, sizes. Readable on light and dark alike."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from pocketrec.errors import MissingExtra
from pocketrec.report import HISTOGRAM_EDGES, ArtifactSize, Evidence, RuntimeResult

_INK = "#808890"  # has contrast on white and on near-black
_LARGEST = 12


def plots(evidence: Evidence) -> list[tuple[str, str]]:
    """(title, SVG) of every figure for which the evidence has data."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        raise MissingExtra("matplotlib", "build") from None
    style = {
        "svg.fonttype": "none",
        "font.size": 9,
        "text.color": _INK,
        "axes.edgecolor": _INK,
        "axes.labelcolor": _INK,
        "axes.facecolor": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "legend.frameon": False,
    }
    with matplotlib.rc_context(style):  # pyright: ignore[reportArgumentType] - the keys are right
        return [*_errors(evidence), *_latencies(evidence), *_sizes(evidence), *_front(evidence)]


def _figure(height: float) -> tuple[Any, Any]:
    # The object interface leaves pyplot's global state and backend alone.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, height), layout="constrained")
    figure.patch.set_alpha(0)
    return figure, figure.add_subplot()


def _svg(figure: Any, salt: str) -> str:
    import matplotlib

    # A salt of its own keeps the ids of several figures on one page apart, and equal from run to run.
    with matplotlib.rc_context({"svg.hashsalt": salt}):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _label(result: RuntimeResult) -> str:
    return f"{result.target} · {result.runtime}"


def _errors(evidence: Evidence) -> list[tuple[str, str]]:
    bins = np.asarray(HISTOGRAM_EDGES[:-1])
    found = []
    for result in evidence.results:
        counts = np.sum([each.histogram for each in result.parity if each.histogram], axis=0)
        if not np.any(counts):
            continue
        figure, axes = _figure(2.4)
        axes.bar(bins + 0.5, counts, width=0.9, color="#4c8dd6")
        axes.set_yscale("symlog")
        axes.set_xlabel("log10 |artifact - reference|; equal numbers stand leftmost")
        axes.set_ylabel("numbers")
        found.append((f"Errors: {_label(result)}", _svg(figure, f"errors {_label(result)}")))
    return found


def _latencies(evidence: Evidence) -> list[tuple[str, str]]:
    functions = sorted({name for result in evidence.results for name in result.latency})
    found = []
    for function in functions:
        figure, axes = _figure(2.8)
        for result in evidence.results:
            latency = result.latency.get(function)
            if latency is None or not latency.samples_ms:
                continue
            samples = np.sort(latency.samples_ms)
            axes.step(samples, np.arange(1, len(samples) + 1) / len(samples), label=_label(result))
        axes.set_xscale("log")
        axes.set_xlabel("latency in ms")
        axes.set_ylabel("share of calls")
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
            found.append((f"Latency: {function}", _svg(figure, f"latency {function}")))
    return found


def _sizes(evidence: Evidence) -> list[tuple[str, str]]:
    return [
        (f"Size per tensor: {each.target}, {each.function}", _size_svg(each))
        for each in evidence.sizes
        if each.tensors
    ]


def _front(evidence: Evidence) -> list[tuple[str, str]]:
    if not evidence.front:
        return []
    figure, axes = _figure(2.8)
    sizes = [100 * each.ratio for each in evidence.front]
    moved = [100 * each.distortion for each in evidence.front]
    axes.step(sizes, moved, where="post", color="#4c8dd6")
    axes.plot(sizes, moved, "o", color="#4c8dd6", markersize=3)
    for each in evidence.front:
        if each.chosen:
            axes.plot(100 * each.ratio, 100 * each.distortion, "o", color="#c47f2f", label="this build")
            axes.legend()
    axes.set_xscale("log")
    axes.set_xlabel("bytes of the weights, in % of float32")
    axes.set_ylabel("% of the ranking that moved")
    return [("Compression: size against ranking", _svg(figure, "front"))]


def _size_svg(size: ArtifactSize) -> str:
    shown = size.tensors[:_LARGEST]
    names = [f"{each.name[:40]} {each.dtype}" for each in shown]
    values = [each.size_bytes for each in shown]
    rest = sum(each.size_bytes for each in size.tensors[_LARGEST:])
    if rest:
        names.append(f"{len(size.tensors) - _LARGEST} smaller ones")
        values.append(rest)
    figure, axes = _figure(0.8 + 0.22 * len(names))
    # Names are data: a dollar sign in one is no mathematics.
    places = range(len(names))
    axes.barh(places, [value / 1000 for value in values], color="#c47f2f")
    axes.set_yticks(places, [name.replace("$", r"\$") for name in names])
    axes.invert_yaxis()
    axes.set_xlabel("kB")
    return _svg(figure, f"size {size.target} {size.function}")
