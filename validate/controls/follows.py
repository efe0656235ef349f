"""Whether an artifact follows each input: one input is replaced alone, and it must move as the model does.

Noise of 40 dB, which float16 is allowed, is 1 % of an output. An input that moves an output by less could be
left out unseen; what it moves is compared by itself here, down to the steps of the artifact's own numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pocketrec.contract import Signature
from pocketrec.evaluation import Probe
from pocketrec.report import Control
from pocketrec.validate.controls.fresh import fresh_probes
from pocketrec.validate.evidence import Reference
from pocketrec.validate.measure.tolerances import FLOAT32_SHARE
from pocketrec.validate.runtimes.fit import run_fitted
from pocketrec.validate.runtimes.runtime import ROUNDED, Array, Runtime, is_coarse

GATE = "follows_inputs"
_LEAST = 0.5  # of the model's movement; noise only adds to it
# What must move an output to be asked for: four times what the same numbers may differ by, four steps of
# float16, and eight of 8 bits.
_SHARES = {"float32": 4 * FLOAT32_SHARE, "float16": 2.0**-9, ROUNDED: 2.0**-5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What replacing one input alone moved one output by, root mean square; `scale` is that of the output."""

    function: str
    feature: str
    output: str
    scale: float
    reference: float
    artifact: float

    @property
    def told(self) -> str:
        """Both movements in words."""
        return (
            f"where {self.feature} is replaced, {self.function}.{self.output} moves by {self.artifact:.3g}, "
            f"the reference's by {self.reference:.3g}"
        )


def follows_inputs(opened: Mapping[str, Runtime], reference: Reference, seed: int) -> Control:
    """Whether every output moves with every input that moves the reference's."""
    asked: dict[str, None] = {}
    lost: list[str] = []
    for function, runtime in opened.items():
        share = _share(runtime.describe().precision)
        for each in _movements(function, runtime, reference, seed):
            if not each.reference > share * each.scale:
                continue
            asked[f"{function}.{each.feature}"] = None
            if not each.artifact >= _LEAST * each.reference:
                lost.append(each.told)
    message = "; ".join(lost) or f"outputs move with {', '.join(asked) or 'no input, as the reference does'}"
    return Control(gate=GATE, passed=not lost, message=message)


def _share(precision: str) -> float:
    if ROUNDED in precision:
        return _SHARES[ROUNDED]
    return _SHARES["float16" if is_coarse(precision) else "float32"]


def _movements(function: str, runtime: Runtime, reference: Reference, seed: int) -> Iterator[Moved]:
    signature = reference.contract.functions[function]
    probe, other = (_widest(fresh_probes(reference.contract, function, seed + each)) for each in (0, 1))
    runtimes = (reference.runtimes[function], runtime)
    before = [run_fitted(each, reference.contract, signature, probe.inputs) for each in runtimes]
    for feature in signature.inputs:
        inputs = {**probe.inputs, feature.name: other.inputs[feature.name]}
        after = [run_fitted(each, reference.contract, signature, inputs) for each in runtimes]
        for name in _numbers(signature):
            moves = [_rms(two[name], one[name]) for one, two in zip(before, after, strict=True)]
            yield Moved(
                function=function,
                feature=feature.name,
                output=name,
                scale=_rms(before[0][name], np.zeros_like(before[0][name])),
                reference=moves[0],
                artifact=moves[1],
            )


def _widest(probes: tuple[Probe, ...]) -> Probe:
    """The probe of most numbers; of equal ones the first, so that two seeds give the same shapes."""
    return max(probes, key=lambda each: sum(array.size for array in each.inputs.values()))


def _numbers(signature: Signature) -> list[str]:
    return [each.name for each in signature.outputs if each.dtype == "float32"]


def _rms(one: Array, other: Array) -> float:
    """Root mean square of the difference where both are finite; 0 where nothing is."""
    left, right = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if left.shape != right.shape:
        return 0.0
    finite = np.isfinite(left) & np.isfinite(right)
    return float(np.sqrt(np.mean(np.square(left[finite] - right[finite])))) if finite.any() else 0.0
