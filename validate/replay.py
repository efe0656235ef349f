"""Golden vectors replayed on a runtime; needs NumPy and the engine, nothing that builds.

What a build's gates would refuse on the vectors is refused here: numbers by `tolerances`, over all vectors
of an output; ids by its rule of ties; and how much of the best stays by the gate on it. Beside them stands
the largest difference that golden.json allows of each number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pocketrec.contract import Contract, Output, Signature
from pocketrec.errors import CheckFailed, InputError, UsageError
from pocketrec.recipe import Gates
from pocketrec.report import TensorParity
from pocketrec.validate.measure.parity import check_parity, failed_parity
from pocketrec.validate.measure.tolerances import differs_by, tie_tolerance
from pocketrec.validate.runtimes.faults import FrameworkFault
from pocketrec.validate.runtimes.fit import run_fitted
from pocketrec.validate.runtimes.runtime import Array, Runtime, is_coarse

_BEST, _LEAST_KEPT = 10, 0.9
_STEP = 2.0**-10  # of float16, relative to a number: two that are closer may be stored as one


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenVector:
    """Inputs of a function with the outputs that the reference gave for them."""

    function: str
    name: str
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """One output of one golden vector.

    Attributes:
        tolerance: largest absolute difference allowed; None where none is known, which fails.
        passed: whether the runtime gave what the vector says.
        message: which output and how far, in words.
        zeros: whether every number of the output is zero on every vector, and none should be on all.
    """

    function: str
    vector: str
    output: str
    max_abs_error: float
    mismatches: int
    tolerance: float | None
    passed: bool
    message: str
    zeros: bool = False


def replay(
    golden: Sequence[GoldenVector],
    runtime: Runtime,
    contract: Contract,
    *,
    function: str,
    tolerances: Mapping[str, float],
    gates: Gates,
) -> tuple[ReplayResult, ...]:
    """One result per vector and output of `function`, and one more per output that fails over all of them.

    Where there is no vector, a single failed one.

    Args:
        golden: vectors of that function; one of another function is a UsageError.
        runtime: the function's artifact, loaded.
        contract: the bundle's contract.
        function: the function's name.
        tolerances: output to the largest absolute difference of its numbers.
        gates: of the build.
    """
    if not golden:
        return (_result(failed_parity(function, "", "no golden vector to replay"), "", None),)
    precision = runtime.describe().precision
    found: list[ReplayResult] = []
    ran: list[tuple[GoldenVector, Mapping[str, Array]]] = []
    for vector in golden:
        if vector.function != function:
            raise UsageError(
                f"golden vector {vector.name!r} is of function {vector.function!r}; expected {function!r}"
            )
        actual = _run(vector, runtime, contract)
        if isinstance(actual, str):
            names = [each.name for each in contract.functions[function].outputs]
            failed = (failed_parity(function, name, actual, probes=1) for name in names)
            return (*found, *(_result(each, vector.name, None) for each in failed))
        ran.append((vector, actual))
        each_alone = _parity([ran[-1]], contract, function, gates, precision)
        found += [_result(each, vector.name, tolerances.get(each.output)) for each in each_alone]
    together = _parity(ran, contract, function, gates, precision)
    over_all = [*_others(together, gates, precision), *_orders(ran, contract, together, gates, precision)]
    return (*_zeros(ran, together), *found, *over_all)


Ran = Sequence[tuple[GoldenVector, Mapping[str, Array]]]


def _run(vector: GoldenVector, runtime: Runtime, contract: Contract) -> dict[str, Array] | str:
    """The outputs for a vector, or why there are none; what an engine died of is raised."""
    try:
        return run_fitted(runtime, contract, contract.functions[vector.function], vector.inputs)
    except FrameworkFault:
        raise
    except (CheckFailed, InputError) as error:
        return str(error)


def _parity(
    ran: Ran, contract: Contract, function: str, gates: Gates, precision: str
) -> tuple[TensorParity, ...]:
    return check_parity(
        [vector.outputs for vector, _ in ran],
        [actual for _, actual in ran],
        [vector.name for vector, _ in ran],
        contract.functions[function],
        function=function,
        tie_tolerance=tie_tolerance(gates, precision),
    )


def _zeros(ran: Ran, together: Sequence[TensorParity]) -> Iterator[ReplayResult]:
    """A failed result for each output whose every number is zero where the reference has others."""
    for each in together:
        if each.failure or not each.histogram:
            continue
        pairs = [(vector.outputs[each.output], actual[each.output]) for vector, actual in ran]
        if not any(right.any() for _, right in pairs) and any(left.any() for left, _ in pairs):
            failed = failed_parity(each.function, each.output, "all zeros", probes=each.probes)
            yield replace(_result(failed, "", None), zeros=True)


def _others(together: Sequence[TensorParity], gates: Gates, precision: str) -> Iterator[ReplayResult]:
    """A failed result for each output that the build's gates on numbers refuse over all vectors."""
    for each in together:
        # What cannot be compared, and ids, are said vector by vector.
        said = "" if each.failure or each.mismatches else differs_by(each, gates, precision)
        if said:
            yield _result(failed_parity(each.function, each.output, said, probes=each.probes), "", None)


def kept_best(expected: Array, actual: Array, *, step: float = _STEP) -> list[float]:
    """The share of each row's ten best scores that are among its ten best in `actual`; ties count as kept.

    Rows of fewer than twenty scores are left out: their order is a matter of the tolerance. Two scores are a
    tie where they differ by at most `step`, relative to the last of the ten.
    """
    if expected.ndim == 0 or expected.shape != actual.shape or expected.shape[-1] < 2 * _BEST:
        return []
    left, right = (
        np.asarray(each, np.float64).reshape(-1, expected.shape[-1]) for each in (expected, actual)
    )
    best = np.argsort(-right, axis=1, kind="stable")[:, :_BEST]
    least = np.sort(left, axis=1)[:, -_BEST]
    slack = step * np.where(np.isfinite(least), np.abs(least), 0)
    good = np.take_along_axis(left, best, axis=1) >= (least - slack)[:, None]
    return [float(each) for each in good.mean(axis=1)]


def _orders(
    ran: Ran, contract: Contract, together: Sequence[TensorParity], gates: Gates, precision: str
) -> Iterator[ReplayResult]:
    """A failed result for each output of scores or ids whose best did not stay, over all vectors."""
    function, least = together[0].function, max(_LEAST_KEPT, gates.min_top_k_overlap or 0.0)
    step = max(gates.tie_tolerance, _STEP) if is_coarse(precision) else gates.tie_tolerance
    whole = {each.output for each in together if not each.failure}
    signature = contract.functions[function]
    for out in signature.outputs:
        pairs = [(vector.outputs, each) for vector, each in ran if out.name in whole]
        shares: list[float] = []
        if out.meaning == "score":
            kept = (kept_best(left[out.name], right[out.name], step=step) for left, right in pairs)
            shares = [share for each in kept for share in each]
        elif out.meaning == "top_k_ids":
            listed = (_kept_ids(out, left, right[out.name], signature, step) for left, right in pairs)
            shares = [share for each in listed for share in each]
        mean = sum(shares) / len(shares) if shares else 1.0
        if mean < least:
            message = f"only {mean:.3f} of the best stay, at least {least:g} have to"
            yield _result(failed_parity(function, out.name, message, probes=len(shares)), "", None)


def _kept_ids(
    out: Output, expected: Mapping[str, Array], actual: Array, signature: Signature, step: float
) -> list[float]:
    """The share of each list's ids that the other holds, too; lists of fewer than ten are left out.

    An id from beyond the list is kept, too, at a place whose score ties with the last one's.
    """
    ids = expected[out.name]
    if ids.ndim == 0 or ids.shape[-1] < _BEST:
        return []
    paired = (each.name for each in signature.outputs if each.meaning == "top_k_scores")
    scores = next((expected[name] for name in paired if expected[name].shape == ids.shape), None)
    lists = zip(*(each.reshape(-1, ids.shape[-1]) for each in (ids, actual)), strict=True)
    shares = []
    for row, (left, right) in enumerate(lists):
        kept = np.isin(right, left)
        if scores is not None:
            own = scores.reshape(-1, ids.shape[-1])[row].astype(np.float64)
            kept |= np.abs(own - own[-1]) <= step * np.abs(own[-1])
        shares.append(float(kept.mean()))
    return shares


def _result(parity: TensorParity, vector: str, tolerance: float | None) -> ReplayResult:
    passed, message = _verdict(parity, tolerance)
    where = f"{parity.function}.{parity.output}" if parity.output else parity.function
    return ReplayResult(
        function=parity.function,
        vector=vector,
        output=parity.output,
        max_abs_error=parity.max_abs_error,
        mismatches=parity.mismatches,
        tolerance=tolerance,
        passed=passed,
        message=f"{where}{f' on {vector!r}' if vector else ''}: {message}",
    )


def _verdict(parity: TensorParity, tolerance: float | None) -> tuple[bool, str]:
    if parity.failure:
        return False, parity.failure
    if not parity.histogram:
        differ = f"{parity.mismatches} of {parity.elements} ids differ and are no tie"
        return not parity.mismatches, differ if parity.mismatches else f"{parity.elements} ids agree"
    if tolerance is None:
        return False, "no tolerance is known for it; build the bundle again"
    passed = parity.max_abs_error <= tolerance
    return passed, f"differs by {parity.max_abs_error:.3g}, allowed {tolerance:.3g}"
