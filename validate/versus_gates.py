"""Gates against the release before: what changed since, decided on what `compared` found.

What could not be compared has no number, and fails by name; so does a build that was to be compared with a
baseline and got none, where the recipe does not say that it may be skipped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from pocketrec.recipe import Gates, Versus
from pocketrec.report import GateResult, LatencyChange, Moved, RankingParity, ReleaseDiff
from pocketrec.validate.quality_gates import Status, loss_verdicts

_TABLE = "versus"


def check_versus(
    versus: Versus, found: ReleaseDiff | None, held: Mapping[str, Gates] | None = None
) -> tuple[GateResult, ...]:
    """One result per limit, and per target, function or slice that it is on; each named `versus.<limit>`.

    Args:
        versus: the limits.
        found: what changed since the baseline; None where there was none.
        held: what each evaluation must hold, by its name; by default there is one, and it has none.
    """
    if found is None:
        return (_no_baseline(versus),)
    return (
        *_version(versus, found),
        *_append_only(versus, found),
        *_rankings({"": Gates(versus=versus)} if held is None else held, found),
        *_sizes(versus, found),
        *_latencies(versus, found),
    )


def _no_baseline(versus: Versus) -> GateResult:
    allowed = "baseline" in versus.may_skip
    said = "skipped, as gates.versus.may_skip allows" if allowed else "pass --baseline BUNDLE"
    step = "" if allowed else ', or set gates.versus.may_skip = ["baseline"]'
    told = f"not run: there is no baseline to compare with; {said}{step}"
    return _gate("baseline", "skipped" if allowed else "failed", told)


def _gate(gate: str, status: Status, message: str, target: str = "", runtime: str = "") -> GateResult:
    return GateResult(gate=f"{_TABLE}.{gate}", target=target, runtime=runtime, status=status, message=message)


def _version(versus: Versus, found: ReleaseDiff) -> Iterator[GateResult]:
    if not versus.due_version:
        return
    heaviest = next((each.message for each in found.changes if each.level == found.level), "")
    because = f"; {found.level}: {heaviest}" if heaviest and found.level != "same" else ""
    yield _gate("due_version", "passed" if found.passed else "failed", f"{found.bump.message}{because}")


def _append_only(versus: Versus, found: ReleaseDiff) -> Iterator[GateResult]:
    if not versus.append_only:
        return
    changed = [each for each in found.changes if each.where.startswith("vocabulary ")]
    broken = [each.message for each in changed if each.level == "breaking"]
    told = "; ".join(broken) or "vocabularies stayed, or grew at their ends"
    yield _gate("append_only", "failed" if broken else "passed", told)


def _rankings(held: Mapping[str, Gates], found: ReleaseDiff) -> Iterator[GateResult]:
    """The gates of every evaluation that is held to limits; one that was not compared fails."""
    known = {each.name: each for each in found.rankings}
    for name, gates in held.items():
        if gates.versus is not None:
            moved = known.get(name, Moved(reason=found.ranking.reason))
            yield from _ranking(gates.versus, replace(moved, name=name))


def _ranking(versus: Versus, moved: Moved) -> Iterator[GateResult]:
    of = f" of {moved.name}" if moved.name else ""
    if moved.quality is None:
        for key in versus.of_rankings:
            said = moved.reason or "not comparable: rankings were not compared"
            yield _gate(f"{key}{of}", "failed", said)
        return
    ran = (moved.target, moved.runtime.partition(" ")[0])
    for gate, status, message in loss_verdicts(versus.losses, versus.slices, moved.quality):
        yield _gate(gate, status, message, *ran)
    yield from (
        _gate(f"{each.gate}{of}", *each.decided(limit, moved.quality), *ran)
        for each in _LISTS
        if (limit := getattr(versus, each.gate)) is not None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfLists:
    """A gate on lists: its value, and whether it must be at least its limit, or at most."""

    gate: str
    what: str
    value: Callable[[RankingParity], float | None]
    at_least: bool

    def decided(self, limit: float, quality: RankingParity) -> tuple[Status, str]:
        """The verdict; lists that were not compared hold nothing."""
        value = self.value(quality)
        if value is None:
            return "failed", "the lists were not compared"
        passed = value >= limit if self.at_least else value <= limit
        side = "at least" if self.at_least else "at most"
        told = f"{self.what} {value:.4f}, limit {side} {limit:g}, over {quality.examined} examples"
        return "passed" if passed else "failed", told


def _churn(quality: RankingParity) -> float | None:
    """Of the length at which most is new."""
    return max((each.churn for each in quality.lists), default=None)


_LISTS = (
    _OfLists(
        gate="min_top_k_overlap",
        what="top-k overlap",
        value=lambda quality: quality.top_k_overlap,
        at_least=True,
    ),
    _OfLists(gate="max_churn", what="share of lists that is new", value=_churn, at_least=False),
)


def _sizes(versus: Versus, found: ReleaseDiff) -> Iterator[GateResult]:
    """Per target of the build; one that the baseline lacks has nothing to have grown from."""
    limit = versus.max_size_growth
    if limit is None:
        return
    wholes = [each for each in found.sizes if not each.tensor]
    before, after = Counter[str](), Counter[str]()
    for each in wholes:
        before[each.target] += each.old_bytes or 0
        after[each.target] += each.new_bytes or 0
    built = [target for target in sorted(after) if after[target]]
    for target in built:
        if before[target]:
            yield _grown(limit, target, before[target], after[target])
        else:
            yield _gate("max_size_growth", "skipped", "not compared: the baseline has no such target", target)
    if not any(before[target] for target in built):
        told = "not comparable: the baseline has no target of this build; build it with these targets"
        yield _gate("max_size_growth", "failed", told)


def _grown(limit: float, target: str, before: int, after: int) -> GateResult:
    grown = after / before - 1
    told = f"{after:,} bytes against {before:,}, {grown:+.2%}, limit at most {limit:+.2%}"
    passed = after <= before * (1 + limit)
    return _gate("max_size_growth", "passed" if passed else "failed", told, target)


def _latencies(versus: Versus, found: ReleaseDiff) -> Iterator[GateResult]:
    limit = versus.max_latency_ratio
    if limit is None:
        return
    for each in found.latency:
        status, told = _latency(limit, each)
        yield _gate("max_latency_ratio", status, told, each.target, each.runtime.partition(" ")[0])
    if not any(each.ratio is not None for each in found.latency):
        allowed = "latency" in versus.may_skip
        step = (
            "skipped, as gates.versus.may_skip allows"
            if allowed
            else 'drop the gate, or set gates.versus.may_skip = ["latency"]'
        )
        told = f"not run: no function of both could be measured; {step}"
        yield _gate("max_latency_ratio", "skipped" if allowed else "failed", told)


def _latency(limit: float, each: LatencyChange) -> tuple[Status, str]:
    if each.ratio is None:
        broken = each.reason.startswith("not comparable")
        return "failed" if broken else "skipped", f"{each.function}: {each.reason}"
    said = f"{each.function}: {each.new_ms:.4g} ms against {each.old_ms:.4g} ms, {each.ratio:.3f}×"
    if each.low is None or each.high is None:
        return "failed", f"{said}; {each.rounds} rounds are too few for an interval, raise latency.runs"
    told = f"{said} in [{each.low:.3f}, {each.high:.3f}], limit at most {limit:g}×, {each.rounds} rounds"
    if each.high <= limit:
        return "passed", told
    lacking = "; a larger ratio is not excluded, raise latency.runs" if each.ratio <= limit else ""
    return "failed", f"{told}{lacking}"
