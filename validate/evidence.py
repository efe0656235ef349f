"""The orchestration: the reference once, then every target on every runtime, against it.

examine_reference ──▶ Reference ──▶ examine_target per target and runtime ──▶ with_latency
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter_ns

from pocketrec.contract import Contract
from pocketrec.errors import CheckFailed, ExecutionError, InputError, MissingExtra, UnsupportedOp
from pocketrec.evaluation import EvaluationData
from pocketrec.recipe import Evaluate, Gates, Latency
from pocketrec.report import LatencyResult, RankingParity, RuntimeResult, TensorParity
from pocketrec.validate.coreml_framework import RuntimeUnavailable
from pocketrec.validate.fit import fit_inputs, run_fitted
from pocketrec.validate.gates import REFERENCE
from pocketrec.validate.latency import measure_latency
from pocketrec.validate.open import open_artifact
from pocketrec.validate.parity import check_parity, failed_parity
from pocketrec.validate.probes import Probe, make_probes
from pocketrec.validate.ranking import QualityRun, compare_quality, quality_of
from pocketrec.validate.runtime import Array, Runtime

Progress = Callable[[str, int, int], None]
Open = Callable[..., Runtime]

# Eight steps of float16's 10-bit fraction: what a few layers of float16 may move a score by.
FLOAT16_TIE_TOLERANCE = 2.0**-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What every target is compared with; computed once.

    Attributes:
        contract: the model's contract.
        evaluate: on what quality is compared.
        data: the evaluation data.
        runtimes: the reference's runtime per function; they stay open.
        probes: per function.
        outputs: the reference's outputs per function, in the probes' order.
        quality: what the reference reached on the evaluation data.
    """

    contract: Contract
    evaluate: Evaluate
    data: EvaluationData
    runtimes: Mapping[str, Runtime]
    probes: Mapping[str, tuple[Probe, ...]]
    outputs: Mapping[str, tuple[Mapping[str, Array], ...]]
    quality: QualityRun

    def result(self) -> RuntimeResult:
        """The reference's own line in the evidence; its latency comes from `with_latency`."""
        description = next(iter(self.runtimes.values())).describe()
        return RuntimeResult(
            target=REFERENCE,
            runtime=description.runtime,
            status="ran",
            runtime_version=description.version,
            precision=description.precision,
            compute_units=description.compute_units,
            ranking=compare_quality(self.quality, self.quality),
        )


def examine_reference(
    runtimes: Mapping[str, Runtime],
    contract: Contract,
    evaluate: Evaluate,
    data: EvaluationData,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Reference:
    """Probes, the reference's outputs for them, and its quality on the evaluation data.

    Raises:
        ExecutionError: the reference gives different outputs for the same inputs.
    """
    tell = progress or _silent
    probes = {name: make_probes(contract, name, data, seed=seed) for name in contract.functions}
    outputs = {}
    for index, (name, each) in enumerate(probes.items()):
        tell(f"reference: {name}", index, len(probes) + 1)
        outputs[name] = _run_probes(runtimes[name], contract, name, each)
        _check_repeatable(runtimes[name], contract, name, each[0], outputs[name][0])
    tell("reference: quality", len(probes), len(probes) + 1)
    quality = quality_of(evaluate, contract, runtimes, data)
    tell("reference", len(probes) + 1, len(probes) + 1)
    return Reference(
        contract=contract,
        evaluate=evaluate,
        data=data,
        runtimes=runtimes,
        probes=probes,
        outputs=outputs,
        quality=quality,
    )


def _silent(what: str, done: int, total: int) -> None:
    pass


def _run_probes(
    runtime: Runtime, contract: Contract, function: str, probes: Sequence[Probe]
) -> tuple[Mapping[str, Array], ...]:
    signature = contract.functions[function]
    return tuple(run_fitted(runtime, contract, signature, probe.inputs) for probe in probes)


def _check_repeatable(
    runtime: Runtime, contract: Contract, function: str, probe: Probe, first: Mapping[str, Array]
) -> None:
    again = run_fitted(runtime, contract, contract.functions[function], probe.inputs)
    for name, array in first.items():
        if array.tobytes() != again[name].tobytes():
            raise ExecutionError(
                f"function {function}, output {name!r}: the reference gives other numbers for the same "
                "inputs; take dropout and random draws out of forward"
            )


def examine_target(
    target: str,
    runtime: str,
    paths: Mapping[str, Path],
    *,
    reference: Reference,
    gates: Gates,
    progress: Progress | None = None,
    open_with: Open = open_artifact,
) -> RuntimeResult:
    """One target on one runtime: parity of every function's outputs, and quality on all the data.

    A runtime that is not there gives a result that says `not_run`. An artifact that cannot be loaded
    or fails while it runs gives failed parities with the reason, so that the evidence is still written.

    Args:
        target: the recipe's name of the target.
        runtime: the engine's name.
        paths: function to artifact.
        reference: from `examine_reference`.
        gates: for the tie tolerance; float16 artifacts get `FLOAT16_TIE_TOLERANCE` where it is wider.
        progress: told what is being done, how far, and how far there is.
        open_with: loads an artifact; takes a path and a runtime's name.
    """
    tell = progress or _silent
    total = len(reference.contract.functions) + 1
    with ExitStack() as stack:
        try:
            opened = {name: stack.enter_context(open_with(path, runtime)) for name, path in paths.items()}
        except (RuntimeUnavailable, MissingExtra, UnsupportedOp) as error:
            return _not_run(target, runtime, str(error))
        except CheckFailed as error:
            return _broken(target, runtime, reference, str(error))
        parity: list[TensorParity] = []
        try:
            for index, function in enumerate(reference.contract.functions):
                tell(f"{target} on {runtime}: {function}", index, total)
                parity.extend(_parity(opened.get(function), function, reference, gates))
            tell(f"{target} on {runtime}: quality", total - 1, total)
            ranking = _quality(opened, reference)
        except UnsupportedOp as error:
            return _not_run(target, runtime, str(error))
        tell(f"{target} on {runtime}", total, total)
        return _ran(target, opened, tuple(parity), ranking)


def _ran(
    target: str,
    opened: Mapping[str, Runtime],
    parity: tuple[TensorParity, ...],
    ranking: RankingParity | None,
) -> RuntimeResult:
    descriptions = [each.describe() for each in opened.values()]
    precisions = sorted({each.precision for each in descriptions})
    return RuntimeResult(
        target=target,
        runtime=descriptions[0].runtime,
        status="ran",
        runtime_version=descriptions[0].version,
        precision=", ".join(precisions),
        compute_units=descriptions[0].compute_units,
        parity=parity,
        ranking=ranking,
    )


def _not_run(target: str, runtime: str, reason: str) -> RuntimeResult:
    return RuntimeResult(target=target, runtime=runtime, status="not_run", reason=reason)


def _broken(target: str, runtime: str, reference: Reference, reason: str) -> RuntimeResult:
    parity = tuple(
        failed_parity(function, out.name, reason)
        for function, signature in reference.contract.functions.items()
        for out in signature.outputs
    )
    return RuntimeResult(target=target, runtime=runtime, status="ran", reason=reason, parity=parity)


def _parity(
    runtime: Runtime | None, function: str, reference: Reference, gates: Gates
) -> tuple[TensorParity, ...]:
    signature = reference.contract.functions[function]
    if runtime is None:
        reason = "the target has no artifact for this function"
        return tuple(failed_parity(function, out.name, reason) for out in signature.outputs)
    probes = reference.probes[function]
    actual = []
    for probe in probes:
        try:
            actual.append(run_fitted(runtime, reference.contract, signature, probe.inputs))
        except UnsupportedOp:
            raise
        except (CheckFailed, InputError) as error:
            return tuple(
                failed_parity(function, out.name, str(error), probes=len(probes), worst_probe=probe.name)
                for out in signature.outputs
            )
    narrow = "float16" in runtime.describe().precision
    tolerance = max(gates.tie_tolerance, FLOAT16_TIE_TOLERANCE) if narrow else gates.tie_tolerance
    return check_parity(
        reference.outputs[function],
        actual,
        [probe.name for probe in probes],
        signature,
        function=function,
        tie_tolerance=tolerance,
    )


def _quality(opened: Mapping[str, Runtime], reference: Reference) -> RankingParity | None:
    """Both qualities; None where the artifact failed on the way, which no quality gate passes."""
    try:
        artifact = quality_of(reference.evaluate, reference.contract, opened, reference.data)
    except UnsupportedOp:
        raise
    except (CheckFailed, InputError):
        return None
    return compare_quality(reference.quality, artifact)


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

    One row, sequences at the length the contract allows at most. Results that did not run, or whose
    outputs could not be compared, are left as they are.

    Args:
        results: of `examine_target`, and `reference.result()`.
        reference: its runtimes are measured beside the targets.
        paths: target to function to artifact.
        latency: warm-up, runs, threads.
        progress: told what is being done, how far, and how far there is.
        open_with: loads an artifact; takes a path, a runtime's name and `threads`.
    """
    tell = progress or _silent
    found: list[dict[str, LatencyResult]] = [{} for _ in results]
    functions = list(reference.contract.functions)
    for index, function in enumerate(functions):
        tell(f"latency: {function}", index, len(functions))
        for key, value in _measure(function, results, reference, paths, latency, open_with).items():
            found[int(key)][function] = value
    tell("latency", len(functions), len(functions))
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
    with ExitStack() as stack:
        stack.enter_context(_torch_threads(latency.threads))
        for index, result in enumerate(results):
            if result.target == REFERENCE:
                runtime = reference.runtimes[function]
            elif _measurable(result, function):
                start = perf_counter_ns()
                path = paths[result.target][function]
                runtime = stack.enter_context(open_with(path, result.runtime, threads=latency.threads))
                load_ms[str(index)] = (perf_counter_ns() - start) / 1e6
            else:
                continue
            calls[str(index)], batch[str(index)] = _call(runtime, reference, function)
        return measure_latency(
            calls,
            warmup=latency.warmup,
            runs=latency.runs,
            threads=latency.threads,
            batch=batch,
            load_ms=load_ms,
        )


def _measurable(result: RuntimeResult, function: str) -> bool:
    """True where the function ran to its end on every probe."""
    mine = [each for each in result.parity if each.function == function]
    return result.status == "ran" and bool(mine) and all(each.elements for each in mine)


def _call(runtime: Runtime, reference: Reference, function: str) -> tuple[Callable[[], object], int]:
    """A call without arguments and its number of rows; what padding costs is outside the call."""
    signature = reference.contract.functions[function]
    probe = next(
        (each for each in reference.probes[function] if each.name == "random row, longest"),
        reference.probes[function][0],
    )
    inputs, rows = fit_inputs(runtime, reference.contract, signature, probe.inputs)[0]
    return lambda: runtime.run(inputs), max(rows, 1)


@contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    """PyTorch on that many threads while it lasts; nothing where it is not loaded."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else 0
    if torch is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        if torch is not None:
            torch.set_num_threads(before)
