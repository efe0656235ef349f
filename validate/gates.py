"""Gates: what a build must hold, decided on the evidence alone.

A gate whose value is NaN, or that has nothing to decide on, fails; it is never passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pocketrec.recipe import Gates
from pocketrec.report import GateResult, RuntimeResult, TensorParity
from pocketrec.validate.quality_gates import Status, quality_verdicts
from pocketrec.validate.runtimes.runtime import is_coarse
from pocketrec.validate.stress_gate import stress_verdict

REFERENCE = "reference"


def check_gates(
    gates: Gates,
    results: Sequence[RuntimeResult],
    *,
    expected: Mapping[str, Sequence[str]] | None = None,
    stressed: bool = False,
    held: Mapping[str, Gates] | None = None,
) -> tuple[GateResult, ...]:
    """One result per gate, target and runtime; the reference's own result is not gated.

    Args:
        gates: the limits; None switches one off. That something was compared, that nothing failed
            before a metric and that ids agree cannot be switched off.
        results: what was examined.
        expected: target to the runtimes it must have a result for; a lack is a failed gate.
        stressed: whether stress was asked for, so that a result without it fails.
        held: what each evaluation must hold, by its name, so that a result without one of them fails; by
            default there is one, and it has none.
    """
    examined = [each for each in results if each.target != REFERENCE]
    found: list[GateResult] = []
    for target, runtimes in (expected or {}).items():
        for runtime in runtimes:
            if not any(each.target == target and each.runtime == runtime for each in examined):
                found.append(_gate("ran", target, runtime, "failed", "no result: it was not examined"))
    for result in examined:
        found.extend(_check_result(gates, result, held or {"": gates}))
        if result.status == "ran" and (stressed or result.stress):
            found.append(_stress(result))
    found.extend(_compared_nowhere(expected or {}, examined))
    if not found:
        found.append(_gate("ran", "", "", "failed", "nothing was examined"))
    return tuple(found)


def _compared_nowhere(targets: Iterable[str], results: Sequence[RuntimeResult]) -> Iterator[GateResult]:
    """A failed gate for each target that no runtime ran: leave to skip each one is none to ship it unseen."""
    for target in targets:
        mine = [each for each in results if each.target == target]
        if mine and all(each.status == "not_run" for each in mine):
            names = ", ".join(each.runtime for each in mine)
            yield _gate("comparison", target, "", "failed", f"nothing was compared: {names} did not run")


def check_assumptions(gates: Gates, assumed: Mapping[str, Sequence[str]]) -> tuple[GateResult, ...]:
    """One result per target: whether its graph has no more branches fixed than it may have.

    Args:
        gates: the limit; None switches it off.
        assumed: target to what its graph takes for granted of every input.
    """
    limit = gates.max_assumptions
    if limit is None:
        return ()
    found = []
    for target, each in assumed.items():
        passed = len(each) <= limit
        told = f": {'; '.join(each)}" if each else ""
        remedy = f"; where that holds for all inputs, set gates.max_assumptions = {len(each)}"
        count = "1 branch on values is" if len(each) == 1 else f"{len(each)} branches on values are"
        message = f"{count} fixed, limit at most {limit}{told}"
        status: Status = "passed" if passed else "failed"
        found.append(_gate("max_assumptions", target, "", status, message + ("" if passed else remedy)))
    return tuple(found)


def check_parity_gates(gates: Gates, results: Sequence[RuntimeResult]) -> tuple[GateResult, ...]:
    """One target's gates on its numbers alone: whether they are the reference's on every runtime."""
    found: list[GateResult] = []
    for result in results:
        found.extend(_check_numbers(gates, result))
        if result.status == "ran" and result.stress:
            found.append(_stress(result))
    return tuple(found)


def _gate(gate: str, target: str, runtime: str, status: Status, message: str) -> GateResult:
    return GateResult(gate=gate, target=target, runtime=runtime, status=status, message=message)


def _stress(result: RuntimeResult) -> GateResult:
    status, message = stress_verdict(result.stress)
    return _gate("stress", result.target, result.runtime, status, message)


def _check_numbers(gates: Gates, result: RuntimeResult) -> Iterator[GateResult]:
    """Whether it ran, and its numbers are the reference's."""
    if result.status == "not_run":
        skipped = result.runtime in gates.may_skip
        note = (
            "; skipped, as gates.may_skip allows" if skipped else "; add it to gates.may_skip or provide it"
        )
        status: Status = "skipped" if skipped else "failed"
        yield _gate("ran", result.target, result.runtime, status, f"not run: {result.reason}{note}")
        return
    for gate, passed, message in (*_parity(gates, result), *_controls(result)):
        yield _gate(gate, result.target, result.runtime, "passed" if passed else "failed", message)


def _check_result(gates: Gates, result: RuntimeResult, held: Mapping[str, Gates]) -> Iterator[GateResult]:
    yield from _check_numbers(gates, result)
    if result.status == "not_run":
        return
    found = {each.name: each for each in result.rankings}
    for name, limits in held.items():
        for gate, verdict, message in quality_verdicts(limits, found.get(name), name):
            yield _gate(gate, result.target, result.runtime, verdict, message)


Verdict = tuple[str, bool, str]


def _controls(result: RuntimeResult) -> Iterator[Verdict]:
    for each in result.controls:
        yield each.gate, each.passed, each.message


def _parity(gates: Gates, result: RuntimeResult) -> Iterator[Verdict]:
    compared = [*result.parity, *result.rows]
    empty = not any(each.elements for each in compared)
    broken = [each for each in compared if each.failure or not each.elements or not each.probes]
    if empty and not broken:
        yield "comparison", False, "nothing was compared"
        return
    if broken:
        lines = [f"{_where(each)}: {each.failure or 'nothing was compared'}{_on(each)}" for each in broken]
        yield "comparison", False, "; ".join(lines)
    else:
        probes, count = max(each.probes for each in result.parity or compared), len(result.parity)
        outputs = "1 output" if count == 1 else f"{count} outputs"
        beside = " and on every evaluation row" if result.rows else ""
        yield "comparison", True, f"{outputs} compared on up to {probes} probes{beside}"
    compared = [each for each in compared if each not in broken]
    yield from _ids(compared)
    # Ids have no distance; a difference between them was counted above.
    exact = [each for each in compared if not each.max_abs_error and not each.histogram]
    numbers = [each for each in compared if each not in exact]
    if numbers:
        yield from _numbers(gates, result, numbers)


def _ids(compared: Sequence[TensorParity]) -> Iterator[Verdict]:
    wrong = [each for each in compared if each.mismatches]
    exact = [each for each in compared if each in wrong or not each.histogram]
    lines = [
        f"{_where(each)}: {each.mismatches} of {each.elements} ids differ and are no tie{_on(each)}"
        for each in wrong
    ]
    if exact:
        total = sum(each.elements for each in exact)
        yield "top_k_ids", not wrong, "; ".join(lines) or f"all {total} ids agree, ties aside"


def _numbers(gates: Gates, result: RuntimeResult, numbers: Sequence[TensorParity]) -> Iterator[Verdict]:
    if is_coarse(result.precision):
        limit = gates.min_sqnr_db
        if limit is not None:
            yield _worst(
                "min_sqnr_db", numbers, [-each.sqnr_db for each in numbers], -limit, "sqnr_db", limit
            )
    elif gates.max_abs_error is None:
        yield _same_numbers(numbers)
    else:
        limit = gates.max_abs_error
        values = [each.max_abs_error for each in numbers]
        yield _worst("max_abs_error", numbers, values, limit, "max_abs_error", limit)


def _worst(
    gate: str,
    numbers: Sequence[TensorParity],
    values: Sequence[float],
    bound: float,
    field: str,
    limit: float,
) -> Verdict:
    """The verdict where every value must be at most `bound`; names all that fail, else the worst."""
    pairs = list(zip(numbers, values, strict=True))
    failing = [each for each, value in pairs if not value <= bound]
    shown = failing or [max(pairs, key=lambda pair: pair[1])[0]]
    side = "at least" if gate.startswith("min") else "at most"
    lines = [
        f"{_where(each)}: {field} {getattr(each, field):.4g}, limit {side} {limit:g}{_on(each)}"
        for each in shown
    ]
    return gate, not failing, "; ".join(lines)


def _same_numbers(numbers: Sequence[TensorParity]) -> Verdict:
    """Whether every output is within what float32 sums in another order come to; see `tolerances`."""
    failing = [each for each in numbers if not each.excess <= 1]
    lines = [
        f"{_where(each)}: off by {each.max_abs_error:.4g}, {each.excess:.3g} times what counts as the same "
        f"numbers{_on(each)}"
        for each in failing or [max(numbers, key=lambda each: each.excess)]
    ]
    return "same_numbers", not failing, "; ".join(lines)


def _where(each: TensorParity) -> str:
    return f"{each.function}.{each.output}"


def _on(each: TensorParity) -> str:
    return f" (worst on probe {each.worst_probe!r})" if each.worst_probe else ""
