"""The verdict in a sentence, and the three numbers that matter: ranking, size, time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pocketrec.report import (
    COMPRESSED,
    Evidence,
    GateResult,
    LatencyResult,
    MetricChange,
    RankingParity,
    RuntimeResult,
)
from pocketrec.validate.gates import REFERENCE
from pocketrec.validate.measure.ranking import lower_is_better
from pocketrec.validate.report.summary import ratio_text, share_text, size_text, weight_bytes

_PREFERRED = ("ndcg@10", "ndcg", "gauc", "auc")
_SMALL = 5  # places from which powers of ten read better
_GATES = {  # gates against the last release, versus.X, count as X does
    "ranking": ("max_ndcg", "max_auc", "max_log_loss", "min_top_k", "max_churn"),
    "size": ("max_size",),
    "time": ("max_p50", "max_load", "max_latency"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """A number that matters: its name, itself, how to read it, and whether a gate on it failed."""

    label: str
    value: str
    note: str
    failed: bool = False


def verdict(evidence: Evidence) -> str:
    """Returns `passed` or `failed`."""
    return "passed" if evidence.passed else "failed"


def counted(evidence: Evidence) -> str:
    """Returns how the gates ended, and how many runtimes did not run, in a sentence or two."""
    failed, passed, skipped = (
        sum(each.status == status for each in evidence.gates) for status in ("failed", "passed", "skipped")
    )
    if failed:
        said = f"{failed} of {_many(failed + passed, 'gate')} failed."
    elif passed:
        said = "The one gate passed." if passed == 1 else f"All {passed} gates passed."
    else:
        said = "No gate ran, so nothing was proved."
    if skipped:
        said += f" {_many(skipped, 'gate')} {'was' if skipped == 1 else 'were'} skipped."
    missing = len(not_run(evidence))
    return said + (f" {_many(missing, 'runtime')} did not run here." if missing else "")


def _many(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def failed_gates(evidence: Evidence) -> tuple[GateResult, ...]:
    """Returns the gates that failed."""
    return tuple(each for each in evidence.gates if each.status == "failed")


def not_run(evidence: Evidence) -> tuple[RuntimeResult, ...]:
    """Returns the targets on runtimes that did not run."""
    return tuple(each for each in evidence.results if each.status == "not_run")


def headlines(evidence: Evidence) -> tuple[Headline, Headline, Headline]:
    """Returns the three numbers, each of the target where it is worst."""
    return _ranking(evidence), _size(evidence), _time(evidence)


def main_metric(evidence: Evidence) -> str:
    """Returns the metric that stands for the ranking; empty where nothing was evaluated."""
    names = [name for each in evidence.results for ranking in each.rankings for name in ranking.artifact]
    for preferred in _PREFERRED:
        found = [name for name in names if name.startswith(preferred)]
        if found:
            return found[0]
    return names[0] if names else ""


def changes_of(ranking: RankingParity) -> Sequence[MetricChange]:
    """Returns how every metric moved; without intervals where the evidence is of a release that had none."""
    if ranking.changes:
        return ranking.changes
    return [
        MetricChange(metric=name, before=ranking.reference[name], after=after)
        for name, after in ranking.artifact.items()
        if name in ranking.reference
    ]


def signed(value: float, digits: int = 2) -> str:
    """Returns a change with its sign, as people write it."""
    if not value:
        return "0"
    size = math.floor(math.log10(abs(value))) if math.isfinite(value) else 0
    shown = f"{value:+.{digits - 1 - size}f}" if -_SMALL <= size < 0 else f"{value:+.{digits}g}"
    return shown.replace("-", "\N{MINUS SIGN}")


def change_text(change: MetricChange, *, last: bool = False) -> str:
    """Returns a change with its interval, the one of it alone or the widest one."""
    interval = change.interval(together=last)
    if interval is None:
        return signed(change.change)
    if interval.low == interval.high == change.change == 0:
        return "0, nobody differs"
    return f"{signed(change.change)} [{signed(interval.low)}, {signed(interval.high)}]"


def _failed(evidence: Evidence, kind: str) -> bool:
    return any(each.gate.removeprefix("versus.").startswith(_GATES[kind]) for each in failed_gates(evidence))


def _ranking(evidence: Evidence) -> Headline:
    metric = main_metric(evidence)
    found = [
        (change, ranking, each)
        for each in evidence.results
        if each.target != REFERENCE
        for ranking in each.rankings
        for change in changes_of(ranking)
        if change.metric == metric
    ]
    failed = _failed(evidence, "ranking")
    if not found:
        note = "No evaluation data was compared." if not metric else f"{metric} was not compared."
        return Headline(label="Ranking", value="not measured", note=note, failed=failed)
    sign = -1 if lower_is_better(metric) else 1
    change, ranking, result = min(found, key=lambda each: _worst_end(each[0], sign))
    return Headline(
        label=f"Change of {metric}{ranking.of}, at worst",
        value=signed(change.change),
        note=_ranking_note(change, ranking, result),
        failed=failed,
    )


def _worst_end(change: MetricChange, sign: int) -> float:
    """What the interval leaves open on the worse side; the larger the better."""
    if math.isnan(change.change):
        return -math.inf
    if not change.intervals:
        return sign * change.change
    return min(sign * change.intervals[0].low, sign * change.intervals[0].high)


def _ranking_note(change: MetricChange, ranking: RankingParity, result: RuntimeResult) -> str:
    against = "the original" if result.target == COMPRESSED else "its model"
    said = f"{change.after:.4f} against {change.before:.4f} of {against}, {place(result)}"
    if change.intervals:
        low, high = change.intervals[0].low, change.intervals[0].high
        said += f"; {100 * change.intervals[0].confidence:.0f} % interval {signed(low)} to {signed(high)}"
    return f"{said}, {ranking.examined} {change.resampled or 'examples'}"


def place(result: RuntimeResult, ranking: RankingParity | None = None) -> str:
    """Returns a target on a runtime, and the evaluation that is meant where there are several."""
    where = result.target if result.target == COMPRESSED else f"{result.target} on {result.runtime}"
    return f"{where}, {ranking.name}" if ranking is not None and ranking.name else where


def _size(evidence: Evidence) -> Headline:
    totals: dict[str, int] = {}
    for each in evidence.sizes:
        totals[each.target] = totals.get(each.target, 0) + each.size_bytes
    failed = _failed(evidence, "size")
    if not totals:
        return Headline(label="Size", value="not measured", note="No artifact was written.", failed=failed)
    largest = max(totals, key=lambda name: totals[name])
    others = [f"{name} {size_text(size)}" for name, size in totals.items() if name != largest]
    note = largest + (f"; {', '.join(others)}" if others else "")
    if evidence.compression:
        before, after = weight_bytes(evidence)
        note += f"; weights are {share_text(after, before)} of float32"
    label = "Size of the largest target" if others else "Size"
    return Headline(label=label, value=size_text(totals[largest]), note=note, failed=failed)


def _time(evidence: Evidence) -> Headline:
    found = [
        (latency, function, each)
        for each in evidence.results
        if each.target not in (REFERENCE, COMPRESSED) and not each.pretended
        for function, latency in each.latency.items()
    ]
    failed = _failed(evidence, "time")
    if not found:
        played = sorted({each.pretended for each in evidence.results if each.pretended})
        note = f"Only {' and '.join(played)} ran here, whose times are none of a device." if played else ""
        return Headline(label="Median call", value="not measured", note=note, failed=failed)
    latency, function, result = max(found, key=lambda each: each[0].p50_ms)
    return Headline(
        label="Median call",
        value=f"{latency.p50_ms:.2f} ms",
        note=_time_note(evidence, latency, function, result),
        failed=failed,
    )


def _time_note(evidence: Evidence, latency: LatencyResult, function: str, result: RuntimeResult) -> str:
    eager = next((each.latency.get(function) for each in evidence.results if each.target == REFERENCE), None)
    ratio = f", {ratio_text(latency, eager)}" if eager is not None else ""
    threads = _many(latency.threads, "thread")
    return f"{place(result)}{ratio}; 95 % within {latency.p95_ms:.2f} ms; {threads}, batch {latency.batch}"
