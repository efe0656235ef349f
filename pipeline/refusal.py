"""Why an artifact that was written is not delivered: what differs, and the reason that the module gives."""

from __future__ import annotations

from dataclasses import dataclass

from pocketrec.errors import Refused
from pocketrec.evaluation import Probe
from pocketrec.pipeline.far import GATE
from pocketrec.pipeline.reasons import is_unsteady, tied_at
from pocketrec.pipeline.remedies import REPORT
from pocketrec.pipeline.ways import Delivered
from pocketrec.report import TensorParity


def differs(target: str, delivered: Delivered) -> Refused:
    """The refusal; where the module chooses among equal scores, that is the reason it gives."""
    results = [each for result in delivered.results for each in result.parity]
    broken = next((each for each in results if each.failure and not each.elements), None)
    if broken is not None and all(each.failure == broken.failure for each in results):
        return Refused(
            op=target,
            where="",
            reason=f"the converted model does not run: {broken.failure}",
            remedy="",
            elsewhere=True,
        )
    reason = f"the converted model differs from the module: {delivered.failure}"
    own = _own_reason(delivered)
    if own is None:
        return Refused(op=target, where="", reason=reason, remedy=REPORT, elsewhere=True)
    return Refused(op=own.op or target, where=own.where, reason=f"{reason}; {own.reason}", remedy=own.remedy)


def is_the_modules(delivered: Delivered) -> bool:
    """True where what differs lies in the module, so that no other capture of it would do better."""
    return not delivered.holds and _own_reason(delivered) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Own:
    """Why a module's own answer is not one that another engine could give again."""

    op: str = ""
    where: str = ""
    reason: str
    remedy: str


def _own_reason(delivered: Delivered) -> _Own | None:
    """What the module gives as a reason on the worst probes; None where it gives none."""
    if any(each.gate == GATE and each.status == "failed" for each in delivered.gates):
        return None
    attempt = delivered.attempt
    worst = _worst(delivered, [each for result in delivered.results for each in result.parity])
    tied = next(filter(None, (tied_at(attempt, each.function, probe) for each, probe in worst)), "")
    if tied:
        name, _, where = tied.partition(" at ")
        return _Own(
            op=name,
            where=where,
            reason="it chooses among equal scores, and PyTorch does not say which come first",
            remedy="make the scores distinct, such as by a small term for the position",
        )
    if not any(is_unsteady(attempt, probe, each) for each, probe in worst):
        return None
    return _Own(
        reason="the module is ill-conditioned: its own answer moves as far where its weights are rounded "
        "once more",
        remedy="keep the numbers that it subtracts or divides by away from rounding: a larger epsilon, a "
        "normalization, a stabler formula",
    )


def _worst(delivered: Delivered, results: list[TensorParity]) -> list[tuple[TensorParity, Probe]]:
    """The results with the probe on which each is worst, where it is known."""
    probes = delivered.attempt.reference.probes
    pairs = []
    for result in results:
        for probe in probes.get(result.function, ()):
            if probe.name == result.worst_probe:
                pairs.append((result, probe))
    return pairs
