"""The proof of a converted artifact: run on every probe of an attempt, and compared output by output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pocketrec.convert.example.attempts import Attempt
from pocketrec.errors import Refused
from pocketrec.report import TensorParity

# The artifact adds the same float32 numbers in another order.
_RTOL, _ATOL = 1e-3, 1e-4
_MIN_SQNR_DB = 40.0
_OWN_SHARE = 0.1  # of a difference, which a module's own rounding explains


def prove(path: Path, attempt: Attempt, target: str, precision: str) -> tuple[TensorParity, ...]:
    """One result per output over all probes; Refused where the artifact differs from the module."""
    from pocketrec.errors import PocketrecError
    from pocketrec.validate.measure.parity import check_parity
    from pocketrec.validate.open import open_artifact

    signature = attempt.contract.functions["main"]
    interpreter = "coreml-interpreter" if target == "coreml" else None
    try:
        with open_artifact(path, interpreter) as runtime:
            actual = [runtime.run(each.inputs) for each in attempt.probes]
    except PocketrecError as error:
        raise Refused(
            op=target,
            where="",
            reason=f"the converted model does not run: {error}",
            remedy="use another target",
        ) from error
    narrow = target == "coreml" and precision == "float16"
    results = check_parity(
        attempt.expected,
        actual,
        [each.name for each in attempt.probes],
        signature,
        function="main",
        tie_tolerance=1e-2 if narrow else 1e-5,
    )
    for result in results:
        wrong = _wrong(result, attempt.expected, actual, narrow=narrow)
        if wrong:
            raise _differs(attempt, target, result, wrong)
    return results


def prove_example(path: Path, attempt: Attempt, target: str, precision: str) -> None:
    """Checks that an artifact gives the module's numbers for the example from where it stands."""
    example = replace(attempt, probes=attempt.probes[:1], expected=attempt.expected[:1])
    prove(path, example, target, precision)


def _differs(attempt: Attempt, target: str, result: TensorParity, wrong: str) -> Refused:
    """The refusal; where the module chooses among equal scores, that is the reason it gives."""
    import torch

    from pocketrec.convert.watch.contract_module import ContractModule
    from pocketrec.convert.watch.ties import ties_of

    signature = attempt.contract.functions["main"]
    probe = next(each for each in attempt.probes if each.name == result.worst_probe)
    inputs = [torch.from_numpy(probe.inputs[each.name]) for each in signature.inputs]
    tied = ties_of(ContractModule(attempt.flat, attempt.contract, signature), inputs)
    reason = f"the converted model differs from the module: output {result.output}, {wrong}"
    if not tied and _is_unsteady(attempt, inputs, result):
        return Refused(
            op=target,
            where="",
            reason=f"{reason}; the module is ill-conditioned: its own answer moves as far where its weights "
            "are rounded once more",
            remedy="keep the numbers that it subtracts or divides by away from rounding: a larger epsilon, a "
            "normalization, a stabler formula",
        )
    if not tied:
        return Refused(
            op=target, where="", reason=reason, remedy="use another target, or report it with this module"
        )
    name, _, where = tied.partition(" at ")
    return Refused(
        op=name,
        where=where,
        reason=f"{reason}; it chooses among equal scores, and PyTorch does not say which come first",
        remedy="make the scores distinct, such as by a small term for the position",
    )


def _is_unsteady(attempt: Attempt, inputs: Sequence[Any], result: TensorParity) -> bool:
    """Whether the module's own rounding explains a good part of how far an output is off."""
    from pocketrec.convert.watch.conditioning import moved_by_rounding
    from pocketrec.convert.watch.contract_module import ContractModule

    signature = attempt.contract.functions["main"]
    names = [each.name for each in signature.outputs]
    try:
        moved = moved_by_rounding(ContractModule(attempt.flat, attempt.contract, signature), inputs)
    except Exception:  # a module that cannot be copied is not examined further
        return False
    return moved[names.index(result.output)] >= _OWN_SHARE * result.max_abs_error > 0


def _wrong(
    result: TensorParity,
    expected: Sequence[Mapping[str, Any]],
    actual: Sequence[Mapping[str, Any]],
    *,
    narrow: bool,
) -> str:
    """Why the output counts as different; empty where it is equal."""
    if result.failure:
        return f"probe {result.worst_probe!r}: {result.failure}"
    if result.mismatches:
        return f"probe {result.worst_probe!r}: {result.mismatches} of {result.elements} ids differ"
    pairs = [(one[result.output], two[result.output]) for one, two in zip(expected, actual, strict=True)]
    if all(one.dtype.kind in "iu" for one, _ in pairs):
        return ""  # equal, or among scores that are
    if narrow:
        return "" if result.sqnr_db >= _MIN_SQNR_DB else f"{result.sqnr_db:.1f} dB, expected {_MIN_SQNR_DB:g}"
    scale = max(1.0, *(float(np.abs(one[np.isfinite(one)]).max(initial=0.0)) for one, _ in pairs))
    if all(np.allclose(two, one, rtol=_RTOL, atol=_ATOL * scale) for one, two in pairs):
        return ""
    return f"probe {result.worst_probe!r}: off by {result.max_abs_error:.3g}"
