"""Artifacts take turns, and the first is what the others are measured against."""

from __future__ import annotations

import pytest

from pocketrec.errors import UsageError
from pocketrec.validate.profile.turns import interleaved


def test_calls_take_turns_and_the_ratio_is_to_the_first() -> None:
    """Both time themselves here: 2 ms and 3 ms; the third rounds' order is the first's."""
    order: list[str] = []

    def call(name: str, ms: float) -> float:
        order.append(name)
        return ms

    calls = {"old": lambda: call("old", 2.0), "new": lambda: call("new", 3.0)}
    found = interleaved(calls, warmup=1, runs=40, inside=calls.keys())
    assert order[:6] == ["old", "new", "new", "old", "old", "new"]
    assert len(order) == 82
    assert found.base == "old"
    assert found.latency["old"].samples_ms == (2.0,) * 40
    assert list(found.ratios) == ["new"]
    assert (found.ratios["new"].ratio, found.ratios["new"].verdict) == (1.5, "slower")


def test_one_call_alone_has_no_ratio() -> None:
    found = interleaved({"only": lambda: 1.0}, warmup=0, runs=4, inside={"only"})
    assert found.ratios == {}


@pytest.mark.parametrize(("names", "runs"), [((), 4), (("a",), 1)])
def test_nothing_to_measure_is_an_error(names: tuple[str, ...], runs: int) -> None:
    with pytest.raises(UsageError, match="at least 2 rounds"):
        interleaved(dict.fromkeys(names, float), warmup=0, runs=runs)
