"""Golden vectors replayed on a runtime; needs NumPy and the engine, nothing that builds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pocketrec.contract import Contract
from pocketrec.errors import CheckFailed, InputError, UsageError
from pocketrec.report import TensorParity
from pocketrec.validate.measure.parity import check_parity, failed_parity
from pocketrec.validate.runtimes.fit import run_fitted
from pocketrec.validate.runtimes.runtime import Array, Runtime


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
    for vector in golden:
        if vector.function != function:
            raise UsageError(
                f"golden vector {vector.name!r} is of function {vector.function!r}; expected {function!r}"
            )
        for parity in _compare(vector, runtime, contract, tie_tolerance):
            found.append(_result(parity, vector.name, tolerances.get(parity.output)))
    return tuple(found)


def _compare(
    vector: GoldenVector, runtime: Runtime, contract: Contract, tie_tolerance: float
) -> tuple[TensorParity, ...]:
    signature = contract.functions[vector.function]
    try:
        actual = run_fitted(runtime, contract, signature, vector.inputs)
    except (CheckFailed, InputError) as error:
        outputs = signature.outputs
        return tuple(failed_parity(vector.function, out.name, str(error), probes=1) for out in outputs)
    return check_parity(
        [vector.outputs],
        [actual],
        [vector.name],
        signature,
        function=vector.function,
        tie_tolerance=tie_tolerance,
    )


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
