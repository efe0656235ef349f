"""Measuring in a process of its own, so that memory is the artifact's, and a load the first one.

    folder/request.json, inputs.npz ─▶ python -m pocketrec.validate.profile.child folder ─▶ folder/answer.json

The process that asks waits and does nothing else: what draws progress would be measured, too.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from pocketrec.errors import ExecutionError, PocketrecError, UsageError
from pocketrec.outside import read_json, require_file
from pocketrec.progress import Progress, silent
from pocketrec.schema import from_table
from pocketrec.validate.profile.measure import Engine, Measured, measure, measure_together
from pocketrec.validate.profile.ops import OpTimes, op_times
from pocketrec.validate.profile.placed import OnUnits
from pocketrec.validate.profile.turns import Turns, joined
from pocketrec.validate.runtimes.runtime import Array

Calls = Sequence[Mapping[str, Array]]
_PROCESSES, _LEAST = 10, 10  # processes, and rounds that each has at least
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be measured: each engine alone where there is one, else all together.

    Attributes:
        engines: by name.
        calls: how many inputs there are for each.
        warmup: rounds that are not counted.
        runs: rounds that are.
        op_runs: calls that are watched op by op.
        units: settings of `compute_units` that Core ML is asked about; none on other engines.
        last_first: whether the last of several is loaded first.
        timeout: seconds after which the process is ended; None waits for ever.
    """

    engines: Mapping[str, Engine]
    calls: Mapping[str, int]
    warmup: int
    runs: int
    op_runs: int = 60
    units: tuple[str, ...] = ()
    last_first: bool = False
    timeout: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was measured; `alone`, `ops` and `units` of one engine, `together` and `version` of several."""

    alone: Measured | None = None
    ops: OpTimes | None = None
    units: tuple[OnUnits, ...] = ()
    together: Turns | None = None
    version: str = ""


Ask = Callable[[Request, Mapping[str, Calls]], Answer]


def answer(request: Request, calls: Mapping[str, Calls]) -> Answer:
    """Measures in this process."""
    if len(request.engines) > 1:
        turns, version = measure_together(
            request.engines,
            calls,
            warmup=request.warmup,
            runs=request.runs,
            last_first=request.last_first,
        )
        return Answer(together=turns, version=version)
    ((name, engine),) = request.engines.items()
    alone = measure(engine, calls[name], warmup=request.warmup, runs=request.runs)
    ops = op_times(engine, calls[name], runs=request.op_runs)
    return Answer(alone=alone, ops=ops, units=_on_units(engine, calls[name][0], request))


def _on_units(engine: Engine, inputs: Mapping[str, Array], request: Request) -> tuple[OnUnits, ...]:
    if not request.units:
        return ()
    from pocketrec.validate.profile.framework import on_units  # which takes long to import

    return on_units(engine.path, engine.function, inputs, units=request.units, runs=request.runs)


def ask(request: Request, calls: Mapping[str, Calls]) -> Answer:
    """Measures in a process of its own, which ends with the answer.

    Raises:
        UsageError: what was asked cannot be loaded or called; the process's own words.
        ExecutionError: it failed, the process was ended, or it took longer than it may.
    """
    with TemporaryDirectory(prefix="pocketrec-") as place:
        folder = Path(place)
        (folder / "request.json").write_text(json.dumps(asdict(request)), encoding="utf-8")
        arrays = {
            f"{name}/{number}/{key}": array
            for name, each in calls.items()
            for number, inputs in enumerate(each)
            for key, array in inputs.items()
        }
        np.savez(folder / "inputs.npz", allow_pickle=False, **arrays)
        command = [sys.executable, "-m", "pocketrec.validate.profile.child", place]
        environment = _environment(request)
        code, said = _run(command, environment, request.timeout)
        table = read_json(folder / "answer.json") if code == 0 else None
    if table is None:
        last = (said.strip().splitlines() or ["it said nothing"])[-1]
        raise ExecutionError(f"the process that measured ended with {code}: {last[:200]}")
    if "error" in table:
        raise (UsageError if table["exit_code"] == 2 else ExecutionError)(table["error"])
    return from_table(Answer, table, source="the process that measured")


def _run(command: Sequence[str], environment: Mapping[str, str], timeout: float | None) -> tuple[int, str]:
    """The exit code and stderr of a process, which is ended with all that it started where this one stops."""
    process = subprocess.Popen(  # noqa: S603 - no shell, fixed words
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        _, said = process.communicate(timeout=timeout)
    except BaseException as error:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            remedy = "give it more with --timeout, or other --compute-units"
            raise ExecutionError(
                f"hung: no answer in {timeout:g} s, so the process that measured was ended; {remedy}"
            ) from None
        raise
    return process.returncode, said


def ask_in_turns(
    request: Request, calls: Mapping[str, Calls], *, measure: Ask = ask, progress: Progress = silent
) -> tuple[Turns, str]:
    """Calls several artifacts in turns, in ten processes where there are rounds for them; with the version.

    Every other process loads them in reverse. Fewer than 100 rounds are those of one process.
    """
    processes = _PROCESSES if request.runs >= _PROCESSES * _LEAST else 1
    parts, version = [], ""
    for number in range(processes):
        progress("call both in turns", number, processes)
        share = replace(request, runs=-(-request.runs // processes), last_first=number % 2 == 1)
        found = measure(share, calls)
        assert found.together is not None
        parts.append(found.together)
        version = found.version
    return joined(parts), version


def _environment(request: Request) -> dict[str, str]:
    """This process's, with as many threads for NumPy as the engines are given."""
    threads = str(max(each.threads for each in request.engines.values()))
    return {**os.environ, **dict.fromkeys(_THREADS, threads)}


def _main(folder: Path) -> None:
    request = from_table(Request, read_json(folder / "request.json"), source="request.json")
    found: Mapping[str, Any]
    try:
        with np.load(require_file(folder / "inputs.npz"), allow_pickle=False) as arrays:
            calls = {name: _calls(arrays, name, count) for name, count in request.calls.items()}
        found = asdict(answer(request, calls))
    except PocketrecError as error:
        found = {"error": str(error), "exit_code": error.exit_code}
    (folder / "answer.json").write_text(json.dumps(found), encoding="utf-8")


def _calls(arrays: Any, name: str, count: int) -> list[dict[str, Array]]:
    found: list[dict[str, Array]] = [{} for _ in range(count)]
    for key in arrays.files:
        owner, number, tensor = key.split("/", 2)
        if owner == name:
            found[int(number)][tensor] = arrays[key]
    return found


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
