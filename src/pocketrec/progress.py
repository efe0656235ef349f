"""How long work tells how far it is: a stage, how many steps are done, and of how many."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

Progress = Callable[[str, int, int], None]
_QUIET_SECONDS = 60.0  # in which a stage says nothing where there is no terminal


class Remarked(Protocol):
    """A `Progress` that is told something to say beside the numbers, too."""

    def __call__(self, stage: str, done: int, total: int, remark: str = "") -> None:
        """Takes how far a stage is."""
        ...


def silent(stage: str, done: int, total: int) -> None:
    """Takes what is told and shows it to nobody."""


@contextmanager
def in_lines(write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> Iterator[Remarked]:
    """A line for each stage as it begins, with the time since the start and how long the last one took.

    A stage that is long says once a minute how far it is.

    Args:
        write: of one line.
        clock: in seconds.
    """
    start = clock()
    current, began, said = "", start, start

    def line(what: str) -> float:
        now = clock()
        took = f"  ({current} took {now - began:.1f} s)" if current else ""
        write(f"{now - start:7.1f} s  {what}{took}")
        return now

    def advance(stage: str, done: int, total: int, remark: str = "") -> None:
        nonlocal current, began, said
        if stage != current:
            began = said = line(f"{stage} ...")
            current = stage
        elif 0 < done < total and (now := clock()) - said >= _QUIET_SECONDS:
            said = now
            write(f"{now - start:7.1f} s  {stage}: {done} of {total}{remark}")

    yield advance
    if current:
        line("done")
