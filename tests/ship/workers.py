"""Cases run in forked processes, a batch each: one that crashes or hangs costs its process, and is named."""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

Line = dict[str, Any]
Run = Callable[[int], Line]

_LARGEST_FILE = 256 << 20  # bytes that a process may write into one file
_LOOKS = 2.0  # seconds between two looks at what hangs
_PR_SET_PDEATHSIG = 1  # of Linux: a signal when the parent dies
_FORK = multiprocessing.get_context("fork")


@dataclass(slots=True, kw_only=True)
class _Worker:
    """A process with a batch of numbers, and the file of its lines.

    Attributes:
        process: that runs them.
        numbers: of the batch, in order.
        log: a line as each begins and one as it ends.
        seen: bytes of the log at the last look.
        since: when it last grew.
    """

    process: BaseProcess
    numbers: Sequence[int]
    log: Path
    seen: int = -1
    since: float = field(default_factory=time.monotonic)


def run_all(
    numbers: Sequence[int],
    prepare: Callable[[int], Run],
    folder: Path,
    *,
    jobs: int = 1,
    batch: int = 100,
    hung_after: float = 120.0,
) -> Iterator[Line]:
    """What each number gave, in no order; a line with `number` and `ended` where its process was lost.

    Args:
        numbers: what to run.
        prepare: gives what runs a number, in the new process, by the number of its slot.
        folder: for the lines of processes.
        jobs: processes at a time.
        batch: numbers of a process.
        hung_after: seconds without a word after which a process is killed.
    """
    waiting = [numbers[start : start + batch] for start in range(0, len(numbers), batch)]
    running: dict[int, _Worker] = {}
    try:
        while waiting or running:
            for slot in set(range(jobs)) - set(running):
                if waiting:
                    running[slot] = _started(waiting.pop(0), prepare, folder, slot)
            wait([each.process.sentinel for each in running.values()], timeout=_LOOKS)
            for slot, worker in list(running.items()):
                if _is_running(worker, hung_after):
                    continue
                del running[slot]
                lines, left = _ended(worker)
                yield from lines
                waiting[:0] = [left] if left else []
    finally:
        for worker in running.values():
            worker.process.kill()
            worker.process.join()


def _started(numbers: Sequence[int], prepare: Callable[[int], Run], folder: Path, slot: int) -> _Worker:
    log = folder / f"lines-{slot}.jsonl"
    log.write_bytes(b"")
    process = _FORK.Process(target=_work, args=(numbers, prepare, log, slot, os.getpid()), daemon=True)
    process.start()
    return _Worker(process=process, numbers=numbers, log=log)


def _end_with(parent: int) -> None:
    """Lets the system end this process with its parent: one that was killed ends nobody itself.

    Else what it left would go on writing where the next run does.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _work(numbers: Sequence[int], prepare: Callable[[int], Run], log: Path, slot: int, parent: int) -> None:
    """What a process does: every number, with a line before and after."""
    _end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE, _LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    run = prepare(slot)
    with log.open("a", encoding="utf-8") as file:
        for number in numbers:
            print(json.dumps({"begins": number}), file=file, flush=True)
            print(json.dumps(run(number)), file=file, flush=True)


def _is_running(worker: _Worker, hung_after: float) -> bool:
    """Whether to look again later; one that has said nothing for long is killed here."""
    if not worker.process.is_alive():
        return False
    size, now = worker.log.stat().st_size, time.monotonic()
    if size != worker.seen:
        worker.seen, worker.since = size, now
    if now - worker.since > hung_after:
        worker.process.kill()
        worker.process.join()
        worker.seen = -2  # by us
        return False
    return True


def _ended(worker: _Worker) -> tuple[list[Line], Sequence[int]]:
    """The lines of a process that has ended, and the numbers that it did not come to."""
    worker.process.join()
    lines = [json.loads(each) for each in worker.log.read_text(encoding="utf-8").splitlines()]
    given = [each for each in lines if "begins" not in each]
    begun = [each["begins"] for each in lines if "begins" in each]
    lost = begun[len(given) :]
    if lost:
        how = "hung" if worker.seen == -2 else f"ended by {worker.process.exitcode}"
        given.append({"number": lost[0], "ended": how})
    elif not begun and worker.process.exitcode:
        raise RuntimeError(f"a process ended by {worker.process.exitcode} before it began")
    return given, worker.numbers[len(begun) :]
