"""Latency of two releases: their artifacts called in turns, now and on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pocketrec.convert.targets import row_of_suffix
from pocketrec.errors import CheckFailed, InputError, UsageError
from pocketrec.package.bundle import Bundle
from pocketrec.pipeline.profile.turns import NEW, OLD, ReleaseTurns, release_turns
from pocketrec.progress import Progress, silent
from pocketrec.recipe import Latency
from pocketrec.report import Change, LatencyChange

_PRETENDS = "coreml-interpreter"


def timed(
    old: Bundle,
    new: Bundle,
    changes: Sequence[Change],
    latency: Latency,
    progress: Progress = silent,
) -> Iterator[LatencyChange]:
    """What every function of every target that both releases have takes, or why that is not known.

    Args:
        old: the earlier release.
        new: the later one.
        changes: of the contracts; where inputs break, there is nothing that both could be called on.
        latency: warm-up, rounds, threads.
        progress: told what is being measured.
    """
    before, after = old.manifest.artifacts, new.manifest.artifacts
    both = [
        (target, function)
        for target in sorted(before.keys() & after.keys())
        for function in sorted(before[target].keys() & after[target].keys())
    ]
    for number, (target, function) in enumerate(both):
        progress(f"latency: {target}/{function}", number, len(both))
        yield _one(old, new, target, function, changes, latency)


def _one(
    old: Bundle, new: Bundle, target: str, function: str, changes: Sequence[Change], latency: Latency
) -> LatencyChange:
    reason = _hindered(new, target, function, changes)
    if reason:
        return LatencyChange(target=target, function=function, reason=reason)
    try:
        found = release_turns(
            old,
            new,
            target=target,
            function=function,
            threads=latency.threads,
            warmup=latency.warmup,
            runs=latency.runs,
        )
    except (CheckFailed, InputError, UsageError) as error:
        return LatencyChange(target=target, function=function, reason=f"not measured: {error}")
    return _change(found, latency)


def _hindered(new: Bundle, target: str, function: str, changes: Sequence[Change]) -> str:
    """Why the two are not called at all; empty where they are."""
    broken = [
        each
        for each in changes
        if each.level == "breaking" and f"{each.where}, ".startswith(f"{function}, input")
    ]
    if broken:
        return f"not comparable: {broken[0].message}"
    row = row_of_suffix(new.artifact(target, function).suffix)
    if row is not None and row.portable == _PRETENDS:
        return "not measured: the interpreter's times are no device's"
    return ""


def _change(found: ReleaseTurns, latency: Latency) -> LatencyChange:
    ratio = found.turns.ratios[NEW]
    return LatencyChange(
        target=found.target,
        function=found.function,
        runtime=f"{found.runtime} {found.version}",
        old_ms=found.turns.latency[OLD].p50_ms,
        new_ms=found.turns.latency[NEW].p50_ms,
        ratio=ratio.ratio,
        low=ratio.low,
        high=ratio.high,
        confidence=ratio.confidence,
        rounds=latency.runs,
        threads=found.threads,
    )
