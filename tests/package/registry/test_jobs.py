"""Transfers beside each other: the first error counts, and nobody waits for a registry that says nothing."""

from __future__ import annotations

import threading
from itertools import count

import pytest

from pocketrec.errors import RegistryError
from pocketrec.package.registry import jobs
from pocketrec.package.registry.jobs import PARALLEL, run_jobs, until


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """What is waited for, and does not come."""
    monkeypatch.setattr(jobs, "_GRACE", 0.01)
    monkeypatch.setattr(jobs, "_TICK", 0.001)
    return threading.Event()


def test_every_job_is_done_and_somebody_hears_of_the_end() -> None:
    done: list[str] = []
    heard: list[int] = []

    def does(stop: threading.Event) -> None:
        done.append("done")

    run_jobs([does] * 3 * PARALLEL, lambda: heard.append(len(done)))
    assert len(done) == heard[-1] == 3 * PARALLEL
    run_jobs([], lambda: heard.append(0))
    assert heard[-1] == 0


def test_the_first_error_ends_the_others() -> None:
    told = threading.Event()

    def fails(stop: threading.Event) -> None:
        raise RegistryError("broke off")

    def waits(stop: threading.Event) -> None:
        if stop.wait(60):
            told.set()

    with pytest.raises(RegistryError, match="broke off"):
        run_jobs([waits, fails], lambda: None)
    assert told.is_set()


def test_an_interrupt_is_not_kept_waiting_by_a_silent_registry(never: threading.Event) -> None:
    begun = threading.Event()

    def silent(stop: threading.Event) -> None:
        begun.set()
        never.wait()

    def tick() -> None:
        if begun.is_set():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_jobs([silent], tick)
    never.set()


def test_what_does_not_get_on_is_given_up(never: threading.Event) -> None:
    """By a clock on which each look takes a minute; what does get on is waited for."""
    minutes, bytes_, ticks = count(0, 60), count(), count()

    def silent(stop: threading.Event) -> None:
        never.wait()

    with pytest.raises(RegistryError, match="nothing has come or gone for 180 seconds; run it again"):
        run_jobs([silent], lambda: None, lambda: 5, lambda: next(minutes))

    def tick() -> None:
        if next(ticks) == 20:
            never.set()

    run_jobs([silent], tick, lambda: next(bytes_), lambda: next(minutes))


def test_who_was_told_to_stop_hands_nothing_on() -> None:
    stop = threading.Event()
    pieces = until(stop, iter([b"a", b"b"]))
    assert next(pieces) == b"a"
    stop.set()
    with pytest.raises(RegistryError, match="another transfer failed; run it again"):
        next(pieces)
