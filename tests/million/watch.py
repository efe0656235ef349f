"""A command with everything that it starts: how much memory all of it holds, and its end by a kill."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

_SECONDS = 2.0  # between two looks


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What was seen of a command.

    Attributes:
        code: its exit code; below 0 where a signal ended it.
        seconds: from its start to its end.
        cpu_seconds: of a processor, that all of its processes had.
        rss_bytes: the most that all of its processes held at one look, what they share counted in each.
        pss_bytes: likewise, what is shared counted once.
        one_bytes: the most that one process held.
        processes: the most at one look.
    """

    code: int
    seconds: float
    cpu_seconds: float
    rss_bytes: int
    pss_bytes: int
    one_bytes: int
    processes: int


def watch(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    stdout: Path,
    stderr: Path,
    until: Callable[[], bool],
) -> Watched:
    """Runs a command to its end, or kills it and all that it started (SIGKILL) as soon as `until` is true."""
    start, most, used = perf_counter(), [0, 0, 0, 0], dict[str, float]()
    with stdout.open("wb") as out, stderr.open("wb") as err:
        process = subprocess.Popen(
            ["nice", "-n", "5", *command],
            stdout=out,
            stderr=err,
            env={**os.environ, **env},
            start_new_session=True,
        )
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_SECONDS)
                    break
                mine = [each for each in Path("/proc").glob("[0-9]*") if _session(each) == process.pid]
                most = [max(pair) for pair in zip(most, _held(mine), strict=True)]
                used |= {each.name: _cpu_seconds(each) for each in mine}
                if until():
                    os.killpg(process.pid, signal.SIGKILL)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return Watched(
        code=process.returncode,
        seconds=perf_counter() - start,
        cpu_seconds=sum(used.values()),
        rss_bytes=most[0],
        pss_bytes=most[1],
        one_bytes=most[2],
        processes=most[3],
    )


def _held(processes: list[Path]) -> list[int]:
    """RSS and PSS of all processes, the largest RSS of one, and how many there are."""
    found = [_memory(each) for each in processes]
    rss, pss = [each[0] for each in found], [each[1] for each in found]
    return [sum(rss), sum(pss), max(rss, default=0), len(found)]


def _stat(process: Path) -> list[str]:
    """What the system says of a process, from its state on; nothing where it has ended."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _session(process: Path) -> int:
    said = _stat(process)
    return int(said[3]) if said else -1


def _cpu_seconds(process: Path) -> float:
    said = _stat(process)
    return sum(map(int, said[11:13])) / os.sysconf("SC_CLK_TCK") if said else 0.0


def _memory(process: Path) -> tuple[int, int]:
    """Its RSS and PSS in bytes."""
    try:
        lines = (process / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines[1:]}
    return sizes.get("Rss", 0), sizes.get("Pss", 0)
