"""Jobs that need nothing of each other, side by side: in this process, and in copies of it.

A copy has all that was loaded and captured, which no pickle could carry. It computes on one thread, since
PyTorch's threads do not survive the copy, and sends its results back. A job whose copy died, or whose
result cannot be sent, is done here.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar

from pocketrec.foreign import LOCK

T = TypeVar("T")

_NUMBER = 2  # bytes of a job's number in the queue


def side_by_side(jobs: Sequence[Callable[[], T]], *, at_once: int | None = None) -> list[T]:
    """What every job gives, in order; the first error in that order is raised when all have ended.

    Args:
        jobs: each writes files of its own at most, since what it changes in a copy's memory is lost; the
            longest first.
        at_once: how many run at a time; by default as many as there are cores. One after the other, in
            this process, where the system cannot copy one (Windows) or frameworks forbid it (macOS).
    """
    count = min(len(jobs), at_once or _cores())
    if count < 2 or sys.platform in ("win32", "darwin"):
        return [job() for job in jobs]
    queue = _queue(len(jobs))
    copies: list[_Copy] = []
    try:
        copies += [_copied(jobs, queue) for _ in range(count - 1)]
        outcomes = dict(_worked(jobs, queue))
        for each in copies:
            outcomes.update(each.outcomes())
    finally:
        for each in copies:
            each.end()
        os.close(queue)
    return [(outcomes.get(number) or _outcome(job)).given() for number, job in enumerate(jobs)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome(Generic[T]):
    """What a job gave, or raised."""

    value: T | None = None
    error: Exception | None = None

    def given(self) -> Any:
        """The value; raises the error where there is one."""
        if self.error is not None:
            raise self.error
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    """A copy of this process, and the pipe that it sends its outcomes through."""

    process: int
    pipe: int

    def outcomes(self) -> dict[int, _Outcome[Any]]:
        """Its outcomes by the job's number, when it has ended; nothing of one that died."""
        with os.fdopen(self.pipe, "rb", closefd=False) as file:
            sent = file.read()
        try:
            found: dict[int, _Outcome[Any]] = pickle.loads(sent)  # noqa: S301  our own bytes
        except (EOFError, pickle.UnpicklingError):
            return {}
        return found

    def end(self) -> None:
        """Ends the process, which has nothing left to do or is no longer needed."""
        os.close(self.pipe)
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _queue(count: int) -> int:
    """A pipe that holds the jobs' numbers; whoever reads from it takes the next one."""
    read, write = os.pipe()
    os.write(write, b"".join(number.to_bytes(_NUMBER, "big") for number in range(count)))
    os.close(write)
    return read


def _worked(jobs: Sequence[Callable[[], T]], queue: int) -> Iterator[tuple[int, _Outcome[T]]]:
    """The outcomes of the jobs that were left to take, one after the other."""
    while taken := os.read(queue, _NUMBER):
        number = int.from_bytes(taken, "big")
        yield number, _outcome(jobs[number])


def _outcome(job: Callable[[], T]) -> _Outcome[T]:
    try:
        return _Outcome(value=job())
    except Exception as error:
        return _Outcome(error=error)


def _copied(jobs: Sequence[Callable[[], T]], queue: int) -> _Copy:
    sys.stdout.flush()
    sys.stderr.flush()
    read, write = os.pipe()
    with LOCK:  # no other thread's change is copied, nor a lock that nobody would give back
        process = os.fork()
    if process == 0:
        _work_and_end(jobs, queue, write)
    os.close(write)
    return _Copy(process=process, pipe=read)


def _work_and_end(jobs: Sequence[Callable[[], T]], queue: int, pipe: int) -> NoReturn:
    """Sends the outcomes, and ends without unwinding what belongs to the process that was copied."""
    try:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)
        torch: Any = sys.modules.get("torch")
        if torch is not None:
            torch.set_num_threads(1)
        outcomes = {number: each for number, each in _worked(jobs, queue) if _can_be_sent(each)}
        with os.fdopen(pipe, "wb") as file:
            pickle.dump(outcomes, file)
    finally:
        os._exit(0)


def _can_be_sent(outcome: _Outcome[Any]) -> bool:
    try:
        pickle.loads(pickle.dumps(outcome))  # noqa: S301  our own bytes
    except Exception:
        return False
    return True
