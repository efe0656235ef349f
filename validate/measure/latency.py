"""Latency: interleaved calls, so that what disturbs the machine disturbs all alike."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from time import perf_counter_ns
from typing import cast

import numpy as np

from pocketrec.errors import UsageError
from pocketrec.report import LatencyResult


def measure_latency(
    callables: Mapping[str, Callable[[], object]],
    *,
    warmup: int,
    runs: int,
    threads: int,
    batch: int | Mapping[str, int],
    load_ms: Mapping[str, float],
    inside: Collection[str] = (),
) -> dict[str, LatencyResult]:
    """Milliseconds per call of each callable, p50, p95 and p99 over `runs` counted calls.

    One call of each in turn, `warmup` rounds and then `runs` rounds; every other round in reverse, so
    that no callable always follows the same one.

    Args:
        callables: name to a call without arguments.
        warmup: rounds that are not counted.
        runs: rounds that are.
        threads: as the callables were set up; only written into the result.
        batch: rows per call, of all or by name.
        load_ms: how long each took to load; 0 where it is not known.
        inside: names of calls that return their own milliseconds, measured where they run.
    """
    samples = take_turns(callables, warmup=warmup, runs=runs, inside=inside)
    return {
        name: _result(
            each,
            threads=threads,
            batch=batch if isinstance(batch, int) else batch[name],
            load_ms=load_ms.get(name, 0.0),
        )
        for name, each in samples.items()
    }


def take_turns(
    calls: Mapping[str, Callable[[], object]],
    *,
    warmup: int,
    runs: int,
    inside: Collection[str] = (),
) -> dict[str, list[float]]:
    """Milliseconds of every counted call by name, in order; arguments as in `measure_latency`."""
    if runs < 1 or warmup < 0:
        raise UsageError(f"latency: runs {runs}, warmup {warmup}; expected runs >= 1, warmup >= 0")
    samples: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for turn in range(warmup + runs):
        for name in names if turn % 2 == 0 else reversed(names):
            start = perf_counter_ns()
            returned = calls[name]()
            elapsed = (perf_counter_ns() - start) / 1e6
            if name in inside:
                elapsed = float(cast(float, returned))
            if turn >= warmup:
                samples[name].append(elapsed)
    return samples


def _result(samples: list[float], *, threads: int, batch: int, load_ms: float) -> LatencyResult:
    p50, p95, p99 = (float(value) for value in np.percentile(samples, (50, 95, 99)))
    return LatencyResult(
        load_ms=load_ms,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        runs=len(samples),
        threads=threads,
        batch=batch,
        samples_ms=tuple(samples),
    )
