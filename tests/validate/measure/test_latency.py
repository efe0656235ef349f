"""Every callable is called as often as was asked, in turns; no test asserts a time."""

from __future__ import annotations

import pytest

from pocketrec.errors import UsageError
from pocketrec.validate.measure.latency import measure_latency


def test_calls_take_turns_and_warm_up_is_not_counted() -> None:
    calls: list[str] = []
    found = measure_latency(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")},
        warmup=1,
        runs=3,
        threads=2,
        batch={"a": 1, "b": 4},
        load_ms={"a": 7.0},
    )
    assert calls == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert (found["a"].runs, found["a"].threads, found["a"].batch, found["a"].load_ms) == (3, 2, 1, 7.0)
    assert len(found["b"].samples_ms) == 3
    assert found["b"].batch == 4
    assert found["b"].p50_ms <= found["b"].p95_ms <= found["b"].p99_ms


def test_no_runs_is_an_error() -> None:
    with pytest.raises(UsageError, match="runs 0"):
        measure_latency({}, warmup=0, runs=0, threads=1, batch=1, load_ms={})


def test_a_call_that_measures_itself_is_believed() -> None:
    """What carries a call to another process is no part of its time."""
    found = measure_latency(
        {"page": lambda: 5e6, "here": lambda: 5e6},
        warmup=0,
        runs=2,
        threads=1,
        batch=1,
        load_ms={},
        inside={"page"},
    )
    assert found["page"].samples_ms == (5e6, 5e6)
    assert max(found["here"].samples_ms) < 5e6
