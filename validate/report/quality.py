"""Quality for people: metrics with their intervals, slices, lists and calibration."""

from __future__ import annotations

from collections.abc import Iterator

from pocketrec.report import Evidence, Interval, MetricChange, RankingParity, RuntimeResult
from pocketrec.validate.measure.holm import holm
from pocketrec.validate.report.table import ReportTable

_DASH = "—"


def quality_notes(result: RuntimeResult) -> Iterator[str]:
    """What must be said of a result's quality, one sentence each."""
    ranking, where = result.ranking, f"{result.target} on {result.runtime}"
    if ranking is None:
        return
    if ranking.calibration is not None and ranking.calibration.warning:
        yield f"{where}: {ranking.calibration.warning}."
    moved = [each for each in _moved(ranking) if each]
    if moved:
        yield f"{where}: by Holm's procedure over the slices, {'; '.join(moved)}."
    small = [f"{each.name} ({each.examples})" for each in ranking.slices if not each.large]
    if small:
        yield f"{where}: too small to be gated, and shown only: {', '.join(small)}."


def interval_text(interval: Interval | None) -> str:
    """The interval, or an em dash where there is none."""
    return _DASH if interval is None else f"[{interval.low:+.2g}, {interval.high:+.2g}]"


def _moved(ranking: RankingParity) -> Iterator[str]:
    """The slices whose metric is certain to have moved, all of them together."""
    large = [each for each in ranking.slices if each.large]
    for metric in ranking.reference:
        changes = [change for each in large for change in each.changes if change.metric == metric]
        if len(changes) != len(large):
            continue
        found = holm([each.intervals for each in changes], lambda _, each: not each.low <= 0 <= each.high)
        for part, change, certain in zip(large, changes, found, strict=True):
            if certain:
                yield f"{metric} of {part.name} moved by {change.change:+.2g}"


def metrics(evidence: Evidence) -> ReportTable:
    """Returns every metric before and after, with its interval."""
    rows = []
    for result in evidence.results:
        if result.ranking is None:
            continue
        known = {each.metric: each for each in result.ranking.changes}
        for name, value in result.ranking.artifact.items():
            before = result.ranking.reference.get(name, float("nan"))
            change = known.get(name, MetricChange(metric=name, before=before, after=value))
            rows.append((result.target, result.runtime, *_cells(change), result.ranking.examined))
    head = ("target", "runtime", *_HEAD, "examples")
    return ReportTable(title="Quality on the evaluation data", head=head, rows=rows)


def slices(evidence: Evidence) -> ReportTable:
    """Returns every metric of every slice, with intervals as wide as holding all slices together asks for."""
    rows = []
    for result in evidence.results:
        for each in result.ranking.slices if result.ranking is not None else ():
            size = str(each.examples) if each.large else f"{each.examples} (too few to gate)"
            for change in each.changes:
                rows.append((result.target, result.runtime, each.name, *_cells(change, last=True), size))
    head = ("target", "runtime", "slice", *_HEAD, "examples")
    return ReportTable(title="Slices; intervals hold together (Holm)", head=head, rows=rows)


_HEAD = ("metric", "reference", "artifact", "change", "95 % interval", "method", "fell")


def _cells(change: MetricChange, *, last: bool = False) -> tuple[str, ...]:
    """A change's figures in the order of `_HEAD`, with the interval of it alone or the widest one."""
    interval = change.interval(together=last)
    method = f"{change.method}, by {change.resampled}" if change.intervals else _DASH
    fell = f"{change.fell / change.examples:.2%}" if change.examples else _DASH
    figures = (f"{change.before:.5f}", f"{change.after:.5f}", f"{change.change:+.2g}")
    return (change.metric, *figures, interval_text(interval), method, fell)


def lists(evidence: Evidence) -> ReportTable:
    """Returns what became of users' lists, at each length."""
    rows = [
        (
            *(result.target, result.runtime, str(each.k)),
            *(f"{share:.4f}" for share in (each.overlap, each.rank_biased_overlap, each.churn)),
            _DASH if each.kendall_tau is None else f"{each.kendall_tau:.4f}",
            *(f"{share:.2%}" for share in (each.changed, each.first_changed)),
            *(_pair(pair) for pair in (each.coverage, each.novelty, each.diversity)),
            _DASH if each.popularity_shift is None else f"{each.popularity_shift:+.2%}",
        )
        for result in evidence.results
        if result.ranking is not None
        for each in result.ranking.lists
    ]
    changed = (
        "k",
        "overlap",
        "RBO (ext, p = 0.9)",
        "churn",
        "Kendall's τ",
        "lists that changed",
        "first items that changed",
    )
    catalogue = ("coverage", "novelty, bits", "diversity", "popularity shift")
    return ReportTable(
        title="Lists, before and after", head=("target", "runtime", *changed, *catalogue), rows=rows
    )


def calibration(evidence: Evidence) -> ReportTable:
    """Returns what became of probabilities as such."""
    rows = []
    for result in evidence.results:
        found = result.ranking.calibration if result.ranking is not None else None
        if found is not None:
            figures = (_pair(found.ece), _pair(found.adaptive_ece), f"{found.shift:+.2g}")
            rows.append(
                (
                    result.target,
                    result.runtime,
                    *figures,
                    interval_text(found.interval),
                    found.warning or _DASH,
                )
            )
    head = ("target", "runtime", "ECE", "adaptive ECE", "mean shift", "95 % interval", "warning")
    return ReportTable(title="Calibration of probabilities", head=head, rows=rows)


def _pair(pair: tuple[float, float] | None) -> str:
    return _DASH if pair is None else f"{pair[0]:.4f} → {pair[1]:.4f}"
