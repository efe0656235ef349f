"""The proof of a converted artifact: run on every probe of an attempt, and compared output by output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pocketrec.convert.example.attempts import Attempt
from pocketrec.convert.example.probes import ExampleProbe
from pocketrec.errors import Refused
from pocketrec.report import TensorParity

# The artifact adds the same float32 numbers in another order.
_RTOL, _ATOL = 1e-3, 1e-4
_MIN_SQNR_DB = 40.0
_OWN_SHARE = 0.1  # of a difference, which a module's own rounding explains


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What an artifact was compared on.

    Attributes:
        parity: one result per output, over the probes near the example.
        far: how many probes far from the example it equals the module on.
        left_out: why it was not compared on others, by their names.
    """

    parity: tuple[TensorParity, ...]
    far: int
    left_out: Mapping[str, str]

    def far_summary(self) -> dict[str, Any]:
        """What is to be known of the probes far from the example, as plain values."""
        return {"compared": self.far, "left_out": dict(self.left_out)}

    @property
    def note(self) -> str:
        """What must be said where no probe far from the example could be compared; else empty."""
        if self.far or not self.left_out:
            return ""
        reasons = "; ".join(f"{name}: {reason}" for name, reason in self.left_out.items())
        return f"compared near the example only ({reasons})"


def prove(
    path: Path, attempt: Attempt, target: str, precision: str, assumptions: Sequence[str] = ()
) -> Proof:
    """The proof of an artifact on every probe of an attempt; Refused where it differs from the module.

    Args:
        path: of the artifact.
        attempt: the probes, and what the module gives for them.
        target: what it was converted to.
        precision: of a Core ML program.
        assumptions: which branches the graph has taken for all inputs; other probes may take others.
    """
    from pocketrec.errors import PocketrecError
    from pocketrec.validate.measure.parity import check_parity
    from pocketrec.validate.open import open_artifact
    from pocketrec.validate.runtimes.runtime import as_promised

    signature = attempt.contract.functions["main"]
    interpreter = "coreml-interpreter" if target == "coreml" else None
    try:
        with open_artifact(path, interpreter) as runtime:
            actual = [as_promised(runtime.run(each.inputs), signature) for each in attempt.probes]
            far = [as_promised(runtime.run(each.probe.inputs), signature) for each in attempt.far.probes]
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
    left_out = _far(attempt, target, far, assumptions, narrow=narrow)
    count = len(far) - len(left_out)
    return Proof(parity=results, far=count, left_out={**attempt.far.left_out, **left_out})


def _far(
    attempt: Attempt,
    target: str,
    actual: Sequence[Mapping[str, Any]],
    assumptions: Sequence[str],
    *,
    narrow: bool,
) -> dict[str, str]:
    """Why probes far from the example decide nothing, by name; Refused where one shows a difference."""
    from pocketrec.validate.measure.parity import check_parity

    signature = attempt.contract.functions["main"]
    left_out: dict[str, str] = {}
    for each, given in zip(attempt.far.probes, actual, strict=True):
        name = each.probe.name
        if narrow and each.scaled:
            left_out[name] = "float16 holds no such magnitudes"
            continue
        results = check_parity(
            [each.expected],
            [given],
            [name],
            signature,
            function="main",
            tie_tolerance=1e-2 if narrow else 1e-5,
        )
        for result in results:
            wrong = _wrong(result, [each.expected], [given], narrow=narrow)
            if wrong:
                left_out[name] = _undecided(attempt, target, each.probe, result, wrong, assumptions)
    return left_out


def _undecided(
    attempt: Attempt,
    target: str,
    probe: ExampleProbe,
    result: TensorParity,
    wrong: str,
    assumptions: Sequence[str],
) -> str:
    """Why a difference far from the example decides nothing; Refused where it does."""
    if _tied(attempt, probe):
        return "the module chooses among equal scores"
    if _is_unsteady(attempt, probe, result):
        return "ill-conditioned: the module's own answer moves as far when numbers are rounded once more"
    if assumptions:
        return f"the graph has one way for all inputs (assumed: {assumptions[0]})"
    raise Refused(
        op=target,
        where="",
        reason=f"the converted model differs from the module far from its example: output {result.output}, "
        f"{wrong}",
        remedy="use another target, or report it with this module",
    )


def _tied(attempt: Attempt, probe: ExampleProbe) -> str:
    """Where the module chooses among equal scores on a probe; empty where it does not."""
    import torch

    from pocketrec.convert.watch.contract_module import ContractModule
    from pocketrec.convert.watch.ties import ties_of

    signature = attempt.contract.functions["main"]
    inputs = [torch.from_numpy(probe.inputs[each.name]) for each in signature.inputs]
    return ties_of(ContractModule(attempt.flat, attempt.contract, signature), inputs)


def prove_example(path: Path, attempt: Attempt, target: str, precision: str) -> None:
    """Checks that an artifact gives the module's numbers for the example from where it stands."""
    nothing = replace(attempt.far, probes=(), left_out={})
    example = replace(attempt, probes=attempt.probes[:1], expected=attempt.expected[:1], far=nothing)
    prove(path, example, target, precision)


def _differs(attempt: Attempt, target: str, result: TensorParity, wrong: str) -> Refused:
    """The refusal; equal scores to choose from, or an ill-conditioned module, are the reason it gives."""
    probe = next(each for each in attempt.probes if each.name == result.worst_probe)
    tied = _tied(attempt, probe)
    reason = f"the converted model differs from the module: output {result.output}, {wrong}"
    if not tied and _is_unsteady(attempt, probe, result):
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


def _is_unsteady(attempt: Attempt, probe: ExampleProbe, result: TensorParity) -> bool:
    """Whether the module's own rounding explains a good part of how far an output is off."""
    import torch

    from pocketrec.convert.watch.conditioning import moved_by_rounding
    from pocketrec.convert.watch.contract_module import ContractModule

    signature = attempt.contract.functions["main"]
    names = [each.name for each in signature.outputs]
    inputs = [torch.from_numpy(probe.inputs[each.name]) for each in signature.inputs]
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
