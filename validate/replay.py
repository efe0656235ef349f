"""Golden vectors replayed on a runtime; needs NumPy and the engine, nothing that builds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pocketrec.contract import Contract
from pocketrec.errors import CheckFailed, InputError, UsageError
from pocketrec.report import TensorParity
from pocketrec.validate.measure.parity import check_parity, failed_parity
from pocketrec.validate.runtimes.fit import run_fitted
from pocketrec.validate.runtimes.runtime import Array, Runtime

_BEST, _LEAST_KEPT, _TIE = 10, 0.9, 2.0**-9


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
    """

    function: str
    vector: str
    output: str
    max_abs_error: float
    mismatches: int
    tolerance: float | None
    passed: bool
    message: str


def replay(
    golden: Sequence[GoldenVector],
    runtime: Runtime,
    contract: Contract,
    *,
    function: str,
    tolerances: Mapping[str, float],
    tie_tolerance: float = 1e-5,
) -> tuple[ReplayResult, ...]:
    """One result per vector and output of `function`; a single failed one where there is no vector.

    Args:
        golden: vectors of that function; one of another function is a UsageError.
        runtime: the function's artifact, loaded.
        contract: the bundle's contract.
        function: the function's name.
        tolerances: output to the largest absolute difference of its numbers.
        tie_tolerance: for ids, see `pocketrec.validate.measure.parity`.
    """
    if not golden:
        return (_result(failed_parity(function, "", "no golden vector to replay"), "", None),)
    found: list[ReplayResult] = []
    overlaps: dict[str, list[float]] = {}
    for vector in golden:
        if vector.function != function:
            raise UsageError(
                f"golden vector {vector.name!r} is of function {vector.function!r}; expected {function!r}"
            )
        parities, kept = _compare(vector, runtime, contract, tie_tolerance)
        found += [_result(each, vector.name, tolerances.get(each.output)) for each in parities]
        for name, shares in kept.items():
            overlaps.setdefault(name, []).extend(shares)
    return (*found, *_orders(function, overlaps))


def _compare(
    vector: GoldenVector, runtime: Runtime, contract: Contract, tie_tolerance: float
) -> tuple[tuple[TensorParity, ...], dict[str, list[float]]]:
    """The differences per output, and per output of scores which share of each row's best stayed."""
    signature = contract.functions[vector.function]
    try:
        actual = run_fitted(runtime, contract, signature, vector.inputs)
    except (CheckFailed, InputError) as error:
        outputs = signature.outputs
        return tuple(failed_parity(vector.function, out.name, str(error), probes=1) for out in outputs), {}
    parities = check_parity(
        [vector.outputs],
        [actual],
        [vector.name],
        signature,
        function=vector.function,
        tie_tolerance=tie_tolerance,
    )
    scores = [each.name for each in signature.outputs if each.meaning == "score"]
    whole = {each.output for each in parities if not each.failure}
    return parities, {name: kept_best(vector.outputs[name], actual[name]) for name in scores if name in whole}


def kept_best(expected: Array, actual: Array) -> list[float]:
    """The share of each row's ten best scores that are among its ten best in `actual`; ties count as kept.

    Rows of fewer than twenty scores are left out: their order is a matter of the tolerance. Scores are a
    tie where float16 could take them for one: within 2^-9 of the row's largest.
    """
    if expected.ndim == 0 or expected.shape != actual.shape or expected.shape[-1] < 2 * _BEST:
        return []
    left, right = (
        np.asarray(each, np.float64).reshape(-1, expected.shape[-1]) for each in (expected, actual)
    )
    best = np.argsort(-right, axis=1, kind="stable")[:, :_BEST]
    least = np.sort(left, axis=1)[:, -_BEST]
    finite = np.where(np.isfinite(left), np.abs(left), 0)
    slack = _TIE * finite.max(axis=1)
    good = np.take_along_axis(left, best, axis=1) >= (least - slack)[:, None]
    return [float(each) for each in good.mean(axis=1)]


def _orders(function: str, overlaps: Mapping[str, Sequence[float]]) -> Iterator[ReplayResult]:
    """A failed result for each output of scores whose best did not stay, over all vectors."""
    for name, shares in overlaps.items():
        mean = sum(shares) / len(shares) if shares else 1.0
        if mean < _LEAST_KEPT:
            message = f"only {mean:.2f} of the ten best stay, at least {_LEAST_KEPT} have to"
            yield _result(failed_parity(function, name, message, probes=len(shares)), "", None)


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
