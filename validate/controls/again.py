"""Whether an answer is computed when it is asked for: the same arrays with other content, and once more.

What goes by the identity of arrays, or by their shapes, or hands out one buffer to every caller, is found so;
timing the same call over and over would not find it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pocketrec.report import Control
from pocketrec.validate.controls.fresh import fresh_probes
from pocketrec.validate.evidence import Reference
from pocketrec.validate.runtimes.fit import fit_inputs
from pocketrec.validate.runtimes.runtime import Array, Runtime

GATE = "asked_again"


def asked_again(opened: Mapping[str, Runtime], reference: Reference, seed: int) -> Control:
    """Whether every function answers what its inputs hold now, and leaves earlier answers alone."""
    for function, runtime in opened.items():
        one, other = (_call(runtime, function, reference, seed + each) for each in (0, 1))
        reason = _reason(runtime, one, other)
        if reason:
            return Control(gate=GATE, passed=False, message=f"{function}: {reason}")
    return Control(gate=GATE, passed=True, message="other content of the same arrays is answered anew")


def _call(runtime: Runtime, function: str, reference: Reference, seed: int) -> dict[str, Array]:
    """Inputs as the artifact takes them, which are nobody else's."""
    signature = reference.contract.functions[function]
    probe = fresh_probes(reference.contract, function, seed)[0]
    fitted, _ = fit_inputs(runtime, reference.contract, signature, probe.inputs)[0]
    return _copied(fitted)


def _reason(runtime: Runtime, one: dict[str, Array], other: dict[str, Array]) -> str:
    right = [_copied(runtime.run(_copied(each))) for each in (one, other)]
    arrays = _copied(one)
    first = runtime.run(arrays)
    for name, array in arrays.items():
        array[...] = other[name]
    second = runtime.run(arrays)
    if not _same(second, right[1]):
        return "arrays whose content was replaced are answered as if it had not been"
    if not _same(first, right[0]):
        return "a later call changes what an earlier one gave"
    if not _same(runtime.run(_copied(one)), right[0]):
        return "the same inputs get other numbers when they are asked again"
    return ""


def _copied(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name: np.array(each) for name, each in arrays.items()}


def _same(one: Mapping[str, Array], other: Mapping[str, Array]) -> bool:
    """Whether answers are equal but for what engines leave to chance, such as the order of sums."""
    return one.keys() == other.keys() and all(
        one[name].shape == other[name].shape
        and np.allclose(one[name], other[name], rtol=1e-3, atol=1e-5, equal_nan=True)
        for name in one
    )
