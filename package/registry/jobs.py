"""A few transfers at once: the first error ends the others, and somebody hears how far they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue

from pocketrec.errors import RegistryError

PARALLEL = 4  # transfers under way at once
_TICK = 0.2  # seconds between two words of progress
_GRACE = 2.0  # seconds that transfers have to end in; one that waits for a registry is left to itself
_PATIENCE = 180.0  # seconds in which something has to move; a single read has less

Job = Callable[[threading.Event], None]


def run_jobs(
    jobs: Iterable[Job],
    tick: Callable[[], None],
    moved: Callable[[], int] = lambda: 0,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Runs jobs, each of which is told when to stop.

    An interrupt is not kept waiting by a registry that gives no answer: the threads are daemons, and who was
    told to stop hands nothing on.

    Args:
        jobs: what is done.
        tick: called now and then, and at the end; an interrupt comes out of it.
        moved: a count that grows while they get on.
        clock: in seconds.

    Raises:
        RegistryError: nothing moves, as where a registry sends a byte a minute.
        whatever the first job that failed raised.
    """
    stop, waiting, done = threading.Event(), SimpleQueue[Job](), SimpleQueue[BaseException | None]()
    all_jobs = tuple(jobs)
    for each in all_jobs:
        waiting.put(each)
    threads = [
        threading.Thread(target=_work, args=(waiting, done, stop), daemon=True)
        for _ in range(min(PARALLEL, len(all_jobs)))
    ]
    try:
        for thread in threads:
            thread.start()
        for _ in all_jobs:
            _await(done, tick, moved, clock)
        tick()
    except BaseException:
        stop.set()
        until_then = time.monotonic() + _GRACE
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, until_then - time.monotonic()))
        raise


def until(stop: threading.Event, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same pieces, until somebody says stop."""
    for piece in pieces:
        if stop.is_set():
            raise RegistryError("another transfer failed; run it again")
        yield piece


def _work(waiting: SimpleQueue[Job], done: SimpleQueue[BaseException | None], stop: threading.Event) -> None:
    """Does what waits, until nothing does, or somebody says stop."""
    while not stop.is_set():
        try:
            job = waiting.get_nowait()
        except Empty:
            return
        try:
            job(stop)
        except BaseException as error:
            done.put(error)
        else:
            done.put(None)


def _await(
    done: SimpleQueue[BaseException | None],
    tick: Callable[[], None],
    moved: Callable[[], int],
    clock: Callable[[], float],
) -> None:
    """Waits for the next job that is done; raises what it raised."""
    before, since = moved(), clock()
    while True:
        tick()
        try:
            error = done.get(timeout=_TICK)
        except Empty:
            now = clock()
            if moved() != before:
                before, since = moved(), now
            elif now - since > _PATIENCE:
                raise RegistryError(
                    f"nothing has come or gone for {_PATIENCE:.0f} seconds; run it again: what was sent or "
                    "fetched is kept"
                ) from None
            continue
        if error is not None:
            raise error
        return
