"""The orchestration: the reference once, then every target on every runtime, against it.

examine_reference ──▶ Reference ──▶ examine_target per target and runtime ──▶ timing.with_latency
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pocketrec.contract import Contract
from pocketrec.errors import CheckFailed, ExecutionError, InputError, MissingExtra, UnsupportedOp
from pocketrec.evaluation import Asked, Probe, sample_for
from pocketrec.kept import arrays_sha256, key_of, path_sha256, with_data
from pocketrec.progress import Progress, silent
from pocketrec.recipe import Gates, Stress
from pocketrec.report import AccumulationSensitivity, RuntimeResult, StressCase, TensorParity
from pocketrec.validate.evaluated import Evaluation, Examination, reference_evaluations
from pocketrec.validate.gates import REFERENCE
from pocketrec.validate.measure.compare import beside
from pocketrec.validate.measure.parity import check_parity, failed_parity
from pocketrec.validate.measure.probes import make_probes
from pocketrec.validate.measure.quality import Runtimes
from pocketrec.validate.measure.sensitivity import accumulation_sensitivity
from pocketrec.validate.measure.stress import check_stress, not_run
from pocketrec.validate.measure.stress_cases import check_left_out
from pocketrec.validate.measure.tolerances import FLOAT16_TIE, tie_tolerance
from pocketrec.validate.open import open_artifact
from pocketrec.validate.runtimes.fit import run_fitted
from pocketrec.validate.runtimes.runtime import Array, Browsed, Runtime, RuntimeUnavailable
from pocketrec.workers import Workers

Open = Callable[..., Runtime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What every target is compared with; computed once.

    Attributes:
        contract: the model's contract.
        runtimes: the reference's runtime per function; they stay open.
        probes: per function.
        outputs: the reference's outputs per function, in the probes' order.
        evaluations: what is measured, and what the reference reached; nothing without data.
        stress: what is asked of artifacts beside probes and data; None asks nothing.
        seed: of what is random in that.
    """

    contract: Contract
    runtimes: Mapping[str, Runtime]
    probes: Mapping[str, tuple[Probe, ...]]
    outputs: Mapping[str, tuple[Mapping[str, Array], ...]]
    evaluations: tuple[Evaluation, ...] = ()
    stress: Stress | None = None
    seed: int = 0

    def result(self) -> RuntimeResult:
        """The reference's own line in the evidence; its latency comes from `timing.with_latency`."""
        found = [
            replace(beside(each.quality, each.quality), name=each.asked.name) for each in self.evaluations
        ]
        description = next(iter(self.runtimes.values())).describe()
        return RuntimeResult(
            target=REFERENCE,
            runtime=description.runtime,
            status="ran",
            runtime_version=description.version,
            precision=description.precision,
            compute_units=description.compute_units,
            ranking=found[0] if found else None,
            further=tuple(found[1:]),
        )


def examine_reference(
    runtimes: Mapping[str, Runtime],
    contract: Contract,
    asked: Sequence[Asked],
    *,
    probes: Mapping[str, tuple[Probe, ...]] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    workers: Workers | None = None,
    reopen: Callable[[], Runtimes] | None = None,
    stress: Stress | None = None,
    identity: Callable[[], str | None] = lambda: None,
) -> Reference:
    """Probes, the reference's outputs for them, and its quality on the evaluation data.

    Args:
        runtimes: the reference's runtime per function.
        contract: the model's contract.
        asked: on what quality is compared.
        probes: by function; made from contract and data by default.
        seed: of probes that are made.
        progress: told what is being done, how far, and how far there is.
        workers: who examines the evaluation data; this process alone by default.
        reopen: opens the runtimes in a worker.
        stress: what artifacts are asked beside probes and data; nothing by default.
        identity: gives the digest of everything that decides what the reference gives, as of `quality_of`;
            its outputs for the probes are added to it.

    Raises:
        ExecutionError: the reference gives different outputs for the same inputs.
        RecipeError: what stress is to leave out is no case of it.
    """
    tell = progress or silent
    if stress is not None:
        check_left_out(contract, stress)
    if probes is None:
        data = [each.data for each in asked]
        probes = {
            name: make_probes(contract, name, sample_for(each, data), seed=seed)
            for name, each in contract.functions.items()
        }
    outputs = {}
    for index, (name, each) in enumerate(probes.items()):
        tell(f"reference: {name}", index, len(probes) + 1)
        outputs[name] = _run_probes(runtimes[name], contract, name, each)
        _check_repeatable(runtimes[name], contract, name, each[0], outputs[name][0])

    def shown() -> str | None:
        known = identity()
        given = {name: [arrays_sha256(each) for each in every] for name, every in outputs.items()}
        return None if known is None else key_of(reference=known, outputs=given)

    found = reference_evaluations(
        asked,
        contract,
        runtimes,
        workers=workers,
        reopen=reopen,
        identity=shown,
        tell=lambda what, done, total: tell(f"reference: {what}", done, total),
    )
    tell("reference", len(probes) + 1, len(probes) + 1)
    return Reference(
        contract=contract,
        runtimes=runtimes,
        probes=probes,
        outputs=outputs,
        evaluations=found,
        stress=stress,
        seed=seed,
    )


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
    workers: Workers | None = None,
) -> RuntimeResult:
    """One target on one runtime: parity of every function's outputs, and quality on all the data.

    A runtime that is not there gives a result that says `not_run`. An artifact that cannot be loaded
    or fails while it runs gives failed parities with the reason, so that the evidence is still written.

    Args:
        target: the recipe's name of the target.
        runtime: the engine's name.
        paths: function to artifact.
        reference: from `examine_reference`.
        gates: for the tie tolerance; float16 artifacts get `FLOAT16_TIE` where it is wider.
        progress: told what is being done, how far, and how far there is.
        open_with: loads an artifact; takes a path, a runtime's name and `function`.
        workers: who examines the evaluation data; this process alone by default.
    """
    tell = progress or silent
    total = len(reference.contract.functions) + 1
    with ExitStack() as stack:
        try:
            opened = {
                name: stack.enter_context(open_with(path, runtime, function=name))
                for name, path in paths.items()
            }
        except (RuntimeUnavailable, MissingExtra, UnsupportedOp) as error:
            return _not_run(target, runtime, str(error))
        except CheckFailed as error:
            return _broken(target, runtime, reference, str(error))
        parity: list[TensorParity] = []
        try:
            for index, function in enumerate(reference.contract.functions):
                tell(f"{target} on {runtime}: {function}", index, total)
                parity.extend(_parity(opened.get(function), function, reference, gates))
            places = {name: path.resolve() for name, path in paths.items()}
            run = Examination(
                contract=reference.contract,
                opened=opened,
                reference=reference.runtimes,
                workers=workers,
                reopen=partial(_open_all, places, runtime, open_with),
                identity=partial(_identity, opened, places),
                tell=lambda what, done, of: tell(f"{target} on {runtime}: {what}", done, of),
            )
            compared = run.compare(reference.evaluations, gates)
            accumulation = _accumulation(opened, parity, reference) if reference.evaluations else ()
            tell(f"{target} on {runtime}: stress", total - 1, total)
            stressed = _stress(opened, parity, reference, gates)
        except UnsupportedOp as error:
            return _not_run(target, runtime, str(error))
        tell(f"{target} on {runtime}", total, total)
        ran = _ran(target, opened, tuple(parity))
        web = {name: each.facts() for name, each in opened.items() if isinstance(each, Browsed)}
        return replace(
            ran,
            rows=tuple(row for each in compared for row in each.rows),
            ranking=compared[0].ranking if compared else None,
            further=tuple(each.ranking for each in compared[1:] if each.ranking is not None),
            accumulation=accumulation,
            web=web,
            stress=stressed,
        )


def _open_all(paths: Mapping[str, Path], runtime: str, open_with: Open) -> Runtimes:
    """A target's runtimes in a worker, which keeps them."""
    return {name: open_with(path, runtime, function=name) for name, path in paths.items()}


def _identity(opened: Runtimes, paths: Mapping[str, Path]) -> str:
    """The digest of what decides an artifact's numbers: its bytes and the engine."""
    said = {name: each.describe() for name, each in opened.items()}
    return key_of(
        artifacts={name: [path_sha256(each) for each in with_data(path)] for name, path in paths.items()},
        engines={name: [each.runtime, each.version, each.compute_units] for name, each in said.items()},
    )


def _ran(target: str, opened: Mapping[str, Runtime], parity: tuple[TensorParity, ...]) -> RuntimeResult:
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
    return check_parity(
        reference.outputs[function],
        actual,
        [probe.name for probe in probes],
        signature,
        function=function,
        tie_tolerance=tie_tolerance(gates, runtime.describe().precision),
    )


def _accumulation(
    opened: Mapping[str, Runtime], parity: Sequence[TensorParity], reference: Reference
) -> tuple[AccumulationSensitivity, ...]:
    """What float16 accumulation does to the functions that ran to their end."""
    found: list[AccumulationSensitivity] = []
    for function, runtime in opened.items():
        if all(each.elements for each in parity if each.function == function):
            found += accumulation_sensitivity(
                runtime,
                reference.contract,
                function,
                reference.probes[function],
                tie_tolerance=FLOAT16_TIE,
            )
    return tuple(found)


def _stress(
    opened: Mapping[str, Runtime], parity: Sequence[TensorParity], reference: Reference, gates: Gates
) -> tuple[StressCase, ...]:
    """Each case of every function; of one whose probes could not be compared, that none was asked."""
    found: list[StressCase] = []
    stress, contract, seed = reference.stress, reference.contract, reference.seed
    if stress is None or not stress.rows:
        return ()
    for name in contract.functions:
        if not all(each.elements for each in parity if each.function == name):
            found += not_run(contract, name, stress, "its probes could not be compared", seed=seed)
            continue
        one, two = opened[name], reference.runtimes[name]
        found += check_stress(one, two, contract, name, gates=gates, stress=stress, seed=seed)
    return tuple(found)
