"""Latency of all results in one run: every function of every target beside the reference, in turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from time import perf_counter_ns

import numpy as np

from pocketrec.evaluation import Probe
from pocketrec.foreign import torch_threads
from pocketrec.progress import Progress
from pocketrec.recipe import Latency
from pocketrec.report import LatencyResult, RuntimeResult
from pocketrec.validate.evidence import Open, Reference
from pocketrec.validate.gates import REFERENCE
from pocketrec.validate.measure.inputs import Maker
from pocketrec.validate.measure.latency import measure_latency
from pocketrec.validate.open import open_artifact
from pocketrec.validate.profile.calls import in_turn, times_itself
from pocketrec.validate.runtimes.fit import fit_inputs
from pocketrec.validate.runtimes.runtime import REHEARSED, Browsed, Clocked, Runtime

_LONGEST = "random row, longest"
_MOST_BYTES = 64 << 20  # of inputs that are made before the calls


def with_latency(
    results: Sequence[RuntimeResult],
    reference: Reference,
    paths: Mapping[str, Mapping[str, Path]],
    latency: Latency,
    *,
    progress: Progress | None = None,
    open_with: Open = open_artifact,
) -> tuple[RuntimeResult, ...]:
    """The results with the latency of every function, all measured in turns in the same run.

    One row, other ones in every call, sequences at the length the contract allows at most. Results that did
    not run, or whose outputs could not be compared, are left as they are.

    Args:
        results: of `examine_target`, and `reference.result()`.
        reference: its runtimes are measured beside the targets.
        paths: target to function to artifact.
        latency: warm-up, runs, threads.
        progress: told what is being done, how far, and how far there is.
        open_with: loads an artifact; takes a path, a runtime's name, `threads` and `function`.
    """
    found: list[dict[str, LatencyResult]] = [{} for _ in results]
    functions = list(reference.contract.functions)
    for index, function in enumerate(functions):
        if progress is not None:
            progress(f"latency: {function}", index, len(functions))
        for key, value in _measure(function, results, reference, paths, latency, open_with).items():
            found[int(key)][function] = value
    if progress is not None:
        progress("latency", len(functions), len(functions))
    return tuple(replace(result, latency=each) for result, each in zip(results, found, strict=True))


def _measure(
    function: str,
    results: Sequence[RuntimeResult],
    reference: Reference,
    paths: Mapping[str, Mapping[str, Path]],
    latency: Latency,
    open_with: Open,
) -> dict[str, LatencyResult]:
    calls: dict[str, Callable[[], object]] = {}
    batch: dict[str, int] = {}
    load_ms: dict[str, float] = {}
    inside: set[str] = set()
    with ExitStack() as stack:
        stack.enter_context(torch_threads(latency.threads))
        for index, result in enumerate(results):
            if result.target == REFERENCE:
                runtime = reference.runtimes[function]
            elif _measurable(result, function):
                start = perf_counter_ns()
                path = paths[result.target][function]
                runtime = stack.enter_context(
                    open_with(path, result.runtime, threads=latency.threads, function=function)
                )
                load_ms[str(index)] = (perf_counter_ns() - start) / 1e6
            else:
                continue
            calls[str(index)], batch[str(index)] = _call(
                runtime, reference, function, latency.warmup + latency.runs
            )
            if times_itself(runtime):
                inside.add(str(index))
            if isinstance(runtime, Browsed):
                load_ms[str(index)] = result.web[function].creation_ms
            elif isinstance(runtime, Clocked):
                load_ms[str(index)] = runtime.load_ms
        return measure_latency(
            calls,
            warmup=latency.warmup,
            runs=latency.runs,
            threads=latency.threads,
            batch=batch,
            load_ms=load_ms,
            inside=inside,
        )


def _measurable(result: RuntimeResult, function: str) -> bool:
    """True where the function ran to its end on every probe, and on the engine that it says."""
    mine = [each for each in result.parity if each.function == function]
    ran = result.status == "ran" and REHEARSED not in result.runtime_version
    return ran and bool(mine) and all(each.elements for each in mine)


def _call(
    runtime: Runtime, reference: Reference, function: str, calls: int
) -> tuple[Callable[[], object], int]:
    """A call without arguments and its number of rows; what padding costs is outside the call.

    Every call is of other inputs, as answers that were kept of earlier ones are no latency; a browser's page
    is sent them once.
    """
    signature = reference.contract.functions[function]
    fitted = [
        fit_inputs(runtime, reference.contract, signature, each.inputs)[0]
        for each in _inputs(reference, function, 1 if isinstance(runtime, Browsed) else calls)
    ]
    return in_turn(runtime, [inputs for inputs, _ in fitted]), max(fitted[0][1], 1)


def _inputs(reference: Reference, function: str, calls: int) -> list[Probe]:
    """One row for each call, as many as fit; the first probe alone where inputs are not the contract's."""
    probes = reference.probes[function]
    known = next((each for each in probes if each.name == _LONGEST), None)
    if known is None:
        return [probes[0]]
    size_bytes = sum(each.nbytes for each in known.inputs.values())
    signature = reference.contract.functions[function]
    maker = Maker(contract=reference.contract, signature=signature, rng=np.random.default_rng(0))
    many = max(1, min(calls, _MOST_BYTES // max(size_bytes, 1)))
    return [known, *(maker.probe(_LONGEST) for _ in range(many - 1))]
