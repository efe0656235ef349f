"""An artifact on probes far from the example: compared where the module's answer there means something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pocketrec.errors import PocketrecError
from pocketrec.evaluation import FarProbe
from pocketrec.pipeline.attempts import Attempt
from pocketrec.pipeline.reasons import is_unsteady, tied_at
from pocketrec.recipe import Gates
from pocketrec.report import GateResult, RuntimeResult, TensorParity

if TYPE_CHECKING:
    from pocketrec.validate.evidence import Open
    from pocketrec.validate.runtimes.runtime import Runtime

GATE = "far_probes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Far:
    """What an artifact was compared on, far from the example.

    Attributes:
        compared: how many probes it equals the module on.
        left_out: why it was not compared on others, by their names.
        failure: how it differs on one; empty where it does not.
    """

    compared: int = 0
    left_out: Mapping[str, str]
    failure: str = ""

    @property
    def note(self) -> str:
        """What must be said where no probe far from the example could be compared; else empty."""
        if self.compared or not self.left_out:
            return ""
        reasons = "; ".join(f"{name}: {reason}" for name, reason in self.left_out.items())
        return f"compared near the example only ({reasons})"

    def gate(self, target: str, runtime: str) -> GateResult:
        """The verdict as a gate."""
        status: Literal["failed", "passed"] = "failed" if self.failure else "passed"
        message = self.failure or f"{self.compared} probes far from the example compared"
        return GateResult(gate=GATE, target=target, runtime=runtime, status=status, message=message)


def compare_far(
    attempt: Attempt, artifacts: Mapping[str, Path], result: RuntimeResult, gates: Gates, open_with: Open
) -> Far:
    """The artifacts of a target against what the module gives far from the example.

    Args:
        attempt: with its probes; none where they are made from evaluation data.
        artifacts: function to path.
        result: of the runtime that they are run on.
        gates: for ties.
        open_with: loads an artifact.
    """
    compared = 0
    left_out: dict[str, str] = {}
    for function, far in attempt.trial.far.items():
        left_out.update(far.left_out)
        try:
            with open_with(artifacts[function], result.runtime, function=function) as runtime:
                for each in far.probes:
                    reason, failure = _compared(attempt, function, each, runtime, gates)
                    if failure:
                        return Far(compared=compared, left_out=left_out, failure=failure)
                    if reason:
                        left_out[each.probe.name] = reason
                    compared += not reason
        except PocketrecError as error:
            failure = f"far from the example, {function} does not run: {error}"
            return Far(compared=compared, left_out=left_out, failure=failure)
    return Far(compared=compared, left_out=left_out)


def _compared(
    attempt: Attempt, function: str, far: FarProbe, runtime: Runtime, gates: Gates
) -> tuple[str, str]:
    """Why the probe decides nothing, and how the artifact differs on it; empty where neither is so."""
    from pocketrec.validate.measure.parity import check_parity
    from pocketrec.validate.measure.tolerances import differs_by, tie_tolerance
    from pocketrec.validate.runtimes.fit import run_fitted
    from pocketrec.validate.runtimes.runtime import is_coarse

    contract, probe = attempt.trial.model.contract, far.probe
    precision = runtime.describe().precision
    if far.scaled and is_coarse(precision):
        return "float16 holds no such magnitudes", ""
    results = check_parity(
        [far.expected],
        [run_fitted(runtime, contract, contract.functions[function], probe.inputs)],
        [probe.name],
        contract.functions[function],
        function=function,
        tie_tolerance=tie_tolerance(gates, precision),
    )
    wrong = [(each, differs_by(each, gates, precision)) for each in results]
    for result, text in wrong:
        if text:
            reason = _undecided(attempt, function, far, result)
            if reason:
                return reason, ""
            return "", f"far from the example, {function}.{result.output} on probe {probe.name!r}: {text}"
    return "", ""


def _undecided(attempt: Attempt, function: str, far: FarProbe, result: TensorParity) -> str:
    """Why a difference far from the example decides nothing; empty where it does."""
    from pocketrec.validate.measure.tolerances import CANCELLED

    if far.scaled and result.max_abs_error <= CANCELLED:
        return "its numbers are no larger than the rounding of sums near 1"
    if tied_at(attempt, function, far.probe):
        return "the module chooses among equal scores"
    if is_unsteady(attempt, far.probe, result):
        return "ill-conditioned: the module's own answer moves as far when numbers are rounded once more"
    assumed = attempt.captures[function].assumptions
    return f"the graph has one way for all inputs (assumed: {assumed[0]})" if assumed else ""
