"""What loading and calling one artifact takes, in this process; it is meant to be a fresh one.

import the engine ─▶ load (cold) ─▶ first call ─▶ warm-up ─▶ counted calls ─▶ close ─▶ load again (warm)
       memory ▲            memory ▲                              memory ▲

Cold is the first load of a process, of files that the system was asked to drop from its cache where it can be
asked; warm is a load of the same process and files afterwards. Memory is the high-water mark of the resident
set, so that the marks only rise.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from time import perf_counter_ns
from typing import TypeVar

from pocketrec.outside import open_file
from pocketrec.validate.measure.latency import take_turns
from pocketrec.validate.open import Load, Options, attribute_at
from pocketrec.validate.profile.calls import in_turn, times_itself
from pocketrec.validate.profile.statistics import Distribution, distribution
from pocketrec.validate.profile.turns import Turns, interleaved
from pocketrec.validate.runtimes.runtime import Array, Runtime

T = TypeVar("T")
_WARM_LOADS = 5
_IMPORTS = {
    "onnxruntime": ("onnx", "onnxruntime"),
    "coreml-interpreter": ("pocketrec.validate.coreml_program.interpreter",),
    "coreml-framework": ("coremltools",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What loads one function of an artifact.

    Attributes:
        path: of the artifact.
        runtime: the engine's name.
        loader: `module:attribute` of what loads it, given path and Options.
        function: its name; empty for the default one.
        threads: that the engine is given.
        compute_units: as Core ML's framework has them; empty for other engines.
        files: of the artifact.
    """

    path: str
    runtime: str
    loader: str
    function: str = ""
    threads: int = 1
    compute_units: str = ""
    files: tuple[str, ...] = ()

    def load(self) -> Runtime:
        """The artifact, loaded."""
        if self.compute_units:
            from pocketrec.validate.runtimes.coreml_framework import CoreMLFramework

            function = self.function or None
            return CoreMLFramework(self.path, compute_units=self.compute_units, function=function)
        load: Load = attribute_at(self.loader)
        return load(Path(self.path), Options(function=self.function or None, threads=self.threads))


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """High-water marks of the process's resident set, in bytes; 0 where the system does not tell."""

    imported: int
    loaded: int
    called: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one artifact took on one engine.

    Attributes:
        runtime: the engine's name.
        version: the engine's.
        precision: the arithmetic.
        compute_units: what it ran on, or was allowed to.
        import_ms: of the engine's packages, which an app does not have.
        load_cold_ms: of the first load.
        dropped: whether the system was asked to drop the files from its cache before.
        load_warm_ms: of loads afterwards, in order.
        first_call_ms: of the first call after the first load.
        memory: after each of these.
        latency: of the counted calls.
    """

    runtime: str
    version: str
    precision: str
    compute_units: str
    import_ms: float
    load_cold_ms: float
    dropped: bool
    load_warm_ms: tuple[float, ...]
    first_call_ms: float
    memory: Memory
    latency: Distribution


def measure(engine: Engine, calls: Sequence[Mapping[str, Array]], *, warmup: int, runs: int) -> Measured:
    """Loads and calls the artifact; arguments as for `take_turns`.

    Raises:
        PocketrecError: it cannot be loaded or called.
    """
    dropped = drop_from_cache([Path(each) for each in engine.files])
    import_ms, _ = _timed(lambda: _import(engine.runtime))
    imported = peak_bytes()
    load_ms, runtime = _timed(engine.load)
    with runtime:
        loaded, described, inside = peak_bytes(), runtime.describe(), times_itself(runtime)
        call = in_turn(runtime, calls)
        first_ms, returned = _timed(call)
        samples = take_turns({"": call}, warmup=warmup, runs=runs, inside=[""] if inside else ())[""]
        called = peak_bytes()
    return Measured(
        runtime=described.runtime,
        version=described.version,
        precision=described.precision,
        compute_units=described.compute_units,
        import_ms=import_ms,
        load_cold_ms=load_ms,
        dropped=dropped,
        load_warm_ms=tuple(_reload(engine) for _ in range(_WARM_LOADS)),
        first_call_ms=float(str(returned)) if inside else first_ms,
        memory=Memory(imported=imported, loaded=loaded, called=called),
        latency=distribution(samples),
    )


def measure_together(
    engines: Mapping[str, Engine],
    calls: Mapping[str, Sequence[Mapping[str, Array]]],
    *,
    warmup: int,
    runs: int,
    last_first: bool = False,
) -> tuple[Turns, str]:
    """The artifacts of several engines, all loaded, called in turns; and the first engine's version.

    Args:
        engines: by name; the others are measured against the first.
        calls: inputs by the same names.
        warmup: rounds that are not counted.
        runs: rounds that are.
        last_first: whether the last one is loaded first, which shows in its times.
    """
    loaded: dict[str, Runtime] = {}
    try:
        for name in reversed(list(engines)) if last_first else engines:
            loaded[name] = engines[name].load()
        turns = interleaved(
            {name: in_turn(loaded[name], calls[name]) for name in engines},
            warmup=warmup,
            runs=runs,
            inside=[name for name, runtime in loaded.items() if times_itself(runtime)],
        )
        return turns, loaded[next(iter(engines))].describe().version
    finally:
        for runtime in loaded.values():
            runtime.close()


def peak_bytes() -> int:
    """The largest resident set that this process has had; 0 where the system does not tell.

    Not `ru_maxrss` on Linux, which a process inherits from the one that started it.
    """
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        text = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    line = next((each for each in text.splitlines() if each.startswith("VmHWM:")), "VmHWM: 0 kB")
    return int(line.split()[1]) * 1024


def drop_from_cache(files: Sequence[Path]) -> bool:
    """Asks the system to drop the files' pages from its cache; False where it cannot be asked."""
    if not hasattr(os, "posix_fadvise"):
        return False
    for path in files:
        with open_file(path) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return bool(files)


def _import(runtime: str) -> None:
    for name in _IMPORTS.get(runtime, ()):
        import_module(name)
    if runtime == "coreml-interpreter":
        from pocketrec.validate.runtimes.coreml_proto import proto

        proto("Model_pb2")


def _reload(engine: Engine) -> float:
    elapsed, runtime = _timed(engine.load)
    runtime.close()
    return elapsed


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    start = perf_counter_ns()
    returned = work()
    return (perf_counter_ns() - start) / 1e6, returned
