"""Calls without arguments, for a clock: a loaded artifact on one set of inputs after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle

from pocketrec.validate.runtimes.runtime import Array, Browsed, Clocked, Runtime


def times_itself(runtime: Runtime) -> bool:
    """Whether its calls return their own milliseconds, measured where they run."""
    return isinstance(runtime, Browsed | Clocked)


def in_turn(runtime: Runtime, calls: Sequence[Mapping[str, Array]]) -> Callable[[], object]:
    """A call of the next inputs each time, from the first again after the last."""
    if isinstance(runtime, Browsed):
        timers = cycle([runtime.timer(each) for each in calls])
        return lambda: next(timers)()
    following = cycle(calls)
    call: Callable[[Mapping[str, Array]], object] = (
        runtime.clocked if isinstance(runtime, Clocked) else runtime.run
    )
    return lambda: call(next(following))
