"""A few transfers at once: the first error ends the others, and somebody hears how far they are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from pocketrec.errors import RegistryError

PARALLEL = 4  # transfers under way at once
_TICK = 0.2  # seconds between two words of progress

Job = Callable[[threading.Event], None]


def run_jobs(jobs: Iterable[Job], tick: Callable[[], None]) -> None:
    """Runs jobs, each of which is told when to stop.

    Args:
        jobs: what is done.
        tick: called now and then, and at the end; an interrupt comes out of it.

    Raises:
        whatever the first job that failed raised, once the others have stopped.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(PARALLEL) as pool:
        pending = {pool.submit(each, stop) for each in jobs}
        try:
            while pending:
                done, pending = wait(pending, timeout=_TICK, return_when=FIRST_COMPLETED)
                for each in done:
                    each.result()
                tick()
        except BaseException:
            stop.set()
            for each in pending:
                each.cancel()
            raise


def until(stop: threading.Event, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same pieces, until somebody says stop."""
    for piece in pieces:
        if stop.is_set():
            raise RegistryError("another transfer failed; run it again")
        yield piece
