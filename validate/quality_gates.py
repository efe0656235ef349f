"""Gates on quality: a change must lie within its limit, and so must all that its interval does not exclude.

A change that may be noise does not pass because it may be none: where there are too few examples to tell,
the gate fails and says how many would be needed. Slices that a gate names are held together, by Holm's
procedure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from pocketrec.recipe import Gates
from pocketrec.recipe.measures import FEWEST, ChangeLimits
from pocketrec.report import Interval, MetricChange, RankingParity, SliceChange
from pocketrec.validate.measure.bootstrap import examples_needed
from pocketrec.validate.measure.holm import holm
from pocketrec.validate.measure.ranking import lower_is_better

Status = Literal["passed", "failed", "skipped"]
Verdict = tuple[str, Status, str]
Within = Callable[[MetricChange, Interval, float], bool]

_OF_METRIC = {
    "max_ndcg_drop": "ndcg",
    "max_auc_drop": "auc",
    "max_log_loss_rise": "log_loss",
    "max_ece_rise": "ece",
}


def quality_verdicts(gates: Gates, ranking: RankingParity | None, name: str = "") -> Iterator[Verdict]:
    """Gate, status and message of every limit on an artifact's quality that applies.

    Args:
        gates: the limits.
        ranking: what was found; None where the artifact failed on the way.
        name: of the evaluation, where there are several.
    """
    limits = _limits(gates)
    if ranking is None or not ranking.examples or not ranking.reference:
        if limits or gates.min_top_k_overlap is not None or gates.slices:
            yield f"quality of {name}" if name else "quality", "failed", "quality was not compared"
        return
    yield from _wholes(limits, ranking, _within)
    yield from _slices(gates.slices, ranking, _within)
    if gates.min_top_k_overlap is not None and any("@" in name for name in ranking.reference):
        yield _overlap(gates.min_top_k_overlap, ranking)


def compression_verdicts(gates: Gates, cost: RankingParity) -> Iterator[Verdict]:
    """The same of what compression cost, where a gain is none: limits on it, and those on slices."""
    yield from loss_verdicts(gates.compression, gates.slices, cost)


def loss_verdicts(
    limits: ChangeLimits | None, slices: Mapping[str, ChangeLimits], ranking: RankingParity
) -> Iterator[Verdict]:
    """The same of any step that may gain: limits on losses of the whole, and of slices."""
    if limits is not None:
        yield from _wholes(_limits(limits), ranking, _no_worse)
    yield from _slices(slices, ranking, _no_worse)


def likely(change: MetricChange, limit: float) -> str:
    """What a loss within its limit leaves open, and how many examples would not; empty where nothing is."""
    if not change.intervals or not change.change >= -limit or _no_worse(change, change.intervals[0], limit):
        return ""
    low = change.intervals[0].low
    lacking = _lacking_examples(change, change.intervals[0], limit, _no_worse)
    return f"; by its interval down to {low:+.2g}{lacking}"


def _within(change: MetricChange, interval: Interval, limit: float) -> bool:
    return max(abs(change.change), -interval.low, interval.high) <= limit


def _no_worse(change: MetricChange, interval: Interval, limit: float) -> bool:
    if lower_is_better(change.metric):
        return max(change.change, interval.high) <= limit
    return min(change.change, interval.low) >= -limit


def _limits(gates: Gates | ChangeLimits) -> dict[str, float]:
    stated = {gate: getattr(gates, gate) for gate in _OF_METRIC}
    return {gate: limit for gate, limit in stated.items() if limit is not None}


def _named(metrics: Mapping[str, float], gate: str) -> list[str]:
    """The metrics that a gate is on, at every k."""
    return [name for name in metrics if name.partition("@")[0] == _OF_METRIC[gate]]


def _wholes(limits: Mapping[str, float], ranking: RankingParity, within: Within) -> Iterator[Verdict]:
    for gate, limit in limits.items():
        for name in _named(ranking.reference, gate):
            yield _whole(gate, limit, name, ranking, within)


def _whole(gate: str, limit: float, name: str, ranking: RankingParity, within: Within) -> Verdict:
    before, after = ranking.reference[name], ranking.artifact.get(name, float("nan"))
    none = MetricChange(metric=name, before=before, after=after)
    found = next((each for each in ranking.changes if each.metric == name), none)
    change = replace(found, before=before, after=after)
    interval = change.interval()
    gate += ranking.of
    passed = interval is not None and change.examples >= FEWEST and within(change, interval, limit)
    told = _told(change, interval, limit, f"over {ranking.examined} examples", within)
    return gate, "passed" if passed else "failed", told


def _told(change: MetricChange, interval: Interval | None, limit: float, over: str, within: Within) -> str:
    """The change with its interval and its limit; what is lacking where the interval is what fails."""
    among = "" if interval is None else f" in [{interval.low:+.2g}, {interval.high:+.2g}]"
    said = (
        f"{change.metric}: {change.after:.5f} against {change.before:.5f}, change {change.change:+.2g}"
        f"{among}, limit {'±' if within is _within else ''}{limit:g}, {over}"
    )
    if math.isnan(change.change) or not within(change, _point(change), limit):
        return said
    if interval is None or change.examples < FEWEST:
        return f"{said}; there is no interval of {change.examples}, expected {FEWEST} or more"
    if within(change, interval, limit):
        return said
    return f"{said}{_lacking_examples(change, interval, limit, within)}"


def _point(change: MetricChange) -> Interval:
    """The change as an interval of no width."""
    return Interval(low=change.change, high=change.change, confidence=0.0)


def _lacking_examples(change: MetricChange, interval: Interval, limit: float, within: Within) -> str:
    loss = change.change if lower_is_better(change.metric) else -change.change
    held = abs(loss) if within is _within else loss
    needed = examples_needed(change.deviation, held, limit, interval.confidence)
    if needed is None:
        return f"; no number of {change.resampled} tells a change of the limit itself from a larger one"
    more = max(needed, change.examples + 1)
    return f"; a larger change is not excluded, about {more} {change.resampled} would tell"


def _slices(
    stated_limits: Mapping[str, ChangeLimits], ranking: RankingParity, within: Within
) -> Iterator[Verdict]:
    """The slices of each gate together, so that what is said of all of them holds at 95 %."""
    for gate in _OF_METRIC:
        limits: dict[str, float] = {}
        for key, stated in stated_limits.items():
            limit = getattr(stated, gate)
            chosen = [each for each in ranking.slices if key in (each.division, each.name)]
            if limit is None:
                continue
            if not any(each.large for each in chosen):
                yield _lacking(gate, _part(ranking, key), chosen, ranking)
            # A slice that is named itself is held to the stricter of its own limit and its division's.
            limits.update({each.name: min(limit, limits.get(each.name, limit)) for each in chosen})
        mine = [each for each in ranking.slices if each.name in limits]
        for name in _named(ranking.reference, gate):
            for part, verdict, said in _together(name, mine, limits, within):
                yield f"{gate} of {_part(ranking, part)}", verdict, said


def _part(ranking: RankingParity, slices: str) -> str:
    """Slices as gates name them: of which evaluation, where there are several."""
    return f"{ranking.name}, {slices}" if ranking.name else slices


def _lacking(gate: str, key: str, chosen: Sequence[SliceChange], ranking: RankingParity) -> Verdict:
    known = ", ".join(each.name for each in ranking.slices) or "none"
    if not chosen:
        return f"{gate} of {key}", "failed", f"no such slice; there are: {known}"
    sampled = ranking.available is not None  # by a slow runtime; others examined all
    of = f" in the sample of {ranking.examined} examples" if sampled else ""
    what = f"no slice of it is large enough to be gated{of}"
    return f"{gate} of {key}", "skipped" if sampled else "failed", what


def _together(
    name: str, slices: Sequence[SliceChange], limits: Mapping[str, float], within: Within
) -> Iterator[Verdict]:
    """Slice, status and message of each slice, those that are large enough held together."""
    for each in slices:
        if not each.large:
            said = f"{name}: {each.examples} examples are too few to be gated, shown only"
            yield each.name, "skipped", said
    large = [each for each in slices if each.large]
    changes = [_change(each, name) for each in large]
    decided: dict[int, Interval] = {}  # by which interval each was

    def holds(number: int, interval: Interval) -> bool:
        decided[number] = interval
        return within(changes[number], interval, limits[large[number].name])

    made = holm([each.intervals for each in changes], holds)
    for number, (each, passed) in enumerate(zip(large, made, strict=True)):
        over = f"over {each.examples} examples, of {len(large)} slices together"
        told = _told(changes[number], decided.get(number), limits[each.name], over, within)
        yield each.name, "passed" if passed else "failed", told


def _change(each: SliceChange, name: str) -> MetricChange:
    none = MetricChange(metric=name, before=float("nan"), after=float("nan"))
    return next((change for change in each.changes if change.metric == name), none)


def _overlap(limit: float, ranking: RankingParity) -> Verdict:
    value, gate = ranking.top_k_overlap, f"min_top_k_overlap{ranking.of}"
    if value is None:
        return gate, "failed", "the lists were not compared"
    message = f"top-k overlap {value:.4f}, limit at least {limit:g}, over {ranking.examined} examples"
    if ranking.worst_overlap is not None and ranking.worst_overlap < 1:
        of = "" if ranking.available is None else " of the sample"
        message += f"; the worst is row {ranking.worst_row}{of} with {ranking.worst_overlap:.4f}"
    return gate, "passed" if value >= limit else "failed", message
