"""How a command ends that is told to: SIGINT and SIGTERM unwind it, so that nothing half made is left."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED, TERMINATED = 130, 143  # exit codes: 128 and the signal's number


class Terminated(KeyboardInterrupt):
    """SIGTERM came; whatever lets an interrupt through lets this through."""


_RAISED: dict[int, type[KeyboardInterrupt]] = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: Terminated,
}


@contextmanager
def endings() -> Iterator[Callable[[], None]]:
    """While it lasts, the signals raise; gives a function that raises again where one came since.

    A library's `except:` around an import takes an interrupt for a missing package. A signal that is
    ignored stays so, as under nohup.
    """
    came: list[int] = []

    def check() -> None:
        if came:
            raise _RAISED[came[-1]]

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        raise _RAISED[number]

    if threading.current_thread() is not threading.main_thread():  # which alone may set handlers
        yield check
        return
    before = {each: signal.getsignal(each) for each in _RAISED}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, note)
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
