"""Artifacts that take turns, and how many times as long each takes as the first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from pocketrec.errors import UsageError
from pocketrec.validate.measure.latency import take_turns
from pocketrec.validate.profile.statistics import (
    CONFIDENCE,
    Distribution,
    Ratio,
    distribution,
    over_processes,
    ratio,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """What calls took that took turns.

    Attributes:
        base: the name of the first, which the others are measured against.
        latency: of each, by name.
        ratios: of each but the first, by name: how many times as long it takes as the first.
    """

    base: str
    latency: Mapping[str, Distribution]
    ratios: Mapping[str, Ratio]


def interleaved(
    calls: Mapping[str, Callable[[], object]],
    *,
    warmup: int,
    runs: int,
    inside: Collection[str] = (),
    confidence: float = CONFIDENCE,
) -> Turns:
    """What each call takes, one of each in turn, and the ratios to the first.

    Args:
        calls: name to a call without arguments; the first is what the others are measured against.
        warmup: rounds that are not counted.
        runs: rounds that are, at least two.
        inside: names of calls that return their own milliseconds, measured where they run.
        confidence: of every interval.

    Raises:
        UsageError: there is no call, or there are too few rounds.
    """
    if not calls or runs < 2:
        raise UsageError(f"{len(calls)} calls, {runs} rounds; expected a call and at least 2 rounds")
    samples = take_turns(calls, warmup=warmup, runs=runs, inside=inside)
    base = next(iter(calls))
    return Turns(
        base=base,
        latency={name: distribution(each, confidence=confidence) for name, each in samples.items()},
        ratios={
            name: ratio(each, samples[base], confidence=confidence)
            for name, each in samples.items()
            if name != base
        },
    )


def joined(parts: Sequence[Turns], *, confidence: float = CONFIDENCE) -> Turns:
    """The turns of several processes: all their calls one after the other, ratios over the processes."""
    first = parts[0]
    return Turns(
        base=first.base,
        latency={
            name: distribution(
                [ms for part in parts for ms in part.latency[name].samples_ms], confidence=confidence
            )
            for name in first.latency
        },
        ratios={
            name: over_processes([part.ratios[name] for part in parts], confidence=confidence)
            for name in first.ratios
        },
    )
