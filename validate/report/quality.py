"""Quality for people: metrics with their intervals, slices, lists and calibration."""

from __future__ import annotations

from collections.abc import Iterator

from pocketrec.report import Evidence, Interval, MetricChange, RankingParity, RuntimeResult
from pocketrec.validate.measure.holm import holm
from pocketrec.validate.report.table import ReportTable

_DASH = "—"


def quality_notes(result: RuntimeResult) -> Iterator[str]:
    """What must be said of a result's quality, one sentence each."""
    for ranking in result.rankings:
        where = f"{result.target} on {result.runtime}{f', {ranking.name}' if ranking.name else ''}"
        yield from _notes(ranking, where)


def _notes(ranking: RankingParity, where: str) -> Iterator[str]:
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
    for where, ranking in _ranked(evidence):
        known = {each.metric: each for each in ranking.changes}
        for name, value in ranking.artifact.items():
            before = ranking.reference.get(name, float("nan"))
            change = known.get(name, MetricChange(metric=name, before=before, after=value))
            rows.append((*where, *_cells(change), ranking.examined))
    head = (*_where(evidence), *_HEAD, "examples")
    return ReportTable(title="Quality on the evaluation data", head=head, rows=rows)


def slices(evidence: Evidence) -> ReportTable:
    """Returns every metric of every slice, with intervals as wide as holding all slices together asks for."""
    rows = []
    for where, ranking in _ranked(evidence):
        for each in ranking.slices:
            size = str(each.examples) if each.large else f"{each.examples} (too few to gate)"
            for change in each.changes:
                rows.append((*where, each.name, *_cells(change, last=True), size))
    head = (*_where(evidence), "slice", *_HEAD, "examples")
    return ReportTable(title="Slices; intervals hold together (Holm)", head=head, rows=rows)


def _where(evidence: Evidence) -> tuple[str, ...]:
    """The first columns: whose figures they are, and of which evaluation where there are several."""
    return ("target", "runtime", *(["evaluation"] if _several(evidence) else []))


def _several(evidence: Evidence) -> bool:
    return any(each.name for result in evidence.results for each in result.rankings)


def _ranked(evidence: Evidence) -> Iterator[tuple[tuple[str, ...], RankingParity]]:
    """Every evaluation of every result, with its cells of the first columns."""
    for result in evidence.results:
        for each in result.rankings:
            yield (result.target, result.runtime, *([each.name] if _several(evidence) else [])), each


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
            *(*where, str(each.k)),
            *(f"{share:.4f}" for share in (each.overlap, each.rank_biased_overlap, each.churn)),
            _DASH if each.kendall_tau is None else f"{each.kendall_tau:.4f}",
            *(f"{share:.2%}" for share in (each.changed, each.first_changed)),
            *(_pair(pair) for pair in (each.coverage, each.novelty, each.diversity)),
            _DASH if each.popularity_shift is None else f"{each.popularity_shift:+.2%}",
        )
        for where, ranking in _ranked(evidence)
        for each in ranking.lists
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
        title="Lists, before and after", head=(*_where(evidence), *changed, *catalogue), rows=rows
    )


def calibration(evidence: Evidence) -> ReportTable:
    """Returns what became of probabilities as such."""
    rows = []
    for where, ranking in _ranked(evidence):
        found = ranking.calibration
        if found is not None:
            figures = (_pair(found.ece), _pair(found.adaptive_ece), f"{found.shift:+.2g}")
            rows.append((*where, *figures, interval_text(found.interval), found.warning or _DASH))
    head = (*_where(evidence), "ECE", "adaptive ECE", "mean shift", "95 % interval", "warning")
    return ReportTable(title="Calibration of probabilities", head=head, rows=rows)


def _pair(pair: tuple[float, float] | None) -> str:
    return _DASH if pair is None else f"{pair[0]:.4f} → {pair[1]:.4f}"
