"""How much of an artifact's result hangs on the accumulation that a device chooses.

A float16 program says how tensors are stored, not how sums are accumulated. The same artifact is run
with float32 and with float16 accumulation, and the second compared with the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pocketrec.contract import Contract, Output
from pocketrec.errors import CheckFailed, UnsupportedOp
from pocketrec.evaluation import Probe
from pocketrec.report import AccumulationSensitivity
from pocketrec.validate.measure.metrics.top_k_overlap import top_k_overlap
from pocketrec.validate.measure.parity import check_parity, failed_parity
from pocketrec.validate.runtimes.fit import run_fitted
from pocketrec.validate.runtimes.runtime import Accumulating, Array, Runtime

MOST_PROBES = 6  # the stress mode rounds at every step of every sum, and takes that much longer
_BEST = 10


def accumulation_sensitivity(
    runtime: Runtime,
    contract: Contract,
    function: str,
    probes: Sequence[Probe],
    *,
    tie_tolerance: float,
) -> tuple[AccumulationSensitivity, ...]:
    """One result per output, over the first `MOST_PROBES` probes; none where there is no choice.

    There is a choice where the engine offers one and the artifact stores float16.
    """
    if not isinstance(runtime, Accumulating) or "float16" not in runtime.describe().precision:
        return ()
    signature, chosen = contract.functions[function], probes[:MOST_PROBES]
    names = [each.name for each in chosen]
    wide = [run_fitted(runtime, contract, signature, each.inputs) for each in chosen]
    try:
        with runtime.with_accumulation("float16") as stressed:
            narrow = [run_fitted(stressed, contract, signature, each.inputs) for each in chosen]
    except UnsupportedOp:
        raise
    except CheckFailed as error:
        return tuple(
            AccumulationSensitivity(parity=failed_parity(function, each.name, str(error), probes=len(chosen)))
            for each in signature.outputs
        )
    parity = check_parity(wide, narrow, names, signature, function=function, tie_tolerance=tie_tolerance)
    return tuple(
        AccumulationSensitivity(parity=each, top_k_overlap=_overlap(output, wide, narrow))
        for each, output in zip(parity, signature.outputs, strict=True)
    )


def _overlap(
    output: Output, wide: Sequence[Mapping[str, Array]], narrow: Sequence[Mapping[str, Array]]
) -> float | None:
    """The mean share of a row's best that both lists have; None where rows are no longer than that."""
    if output.meaning != "score" or wide[0][output.name].shape[-1] <= _BEST:
        return None
    shares = [
        top_k_overlap(_best(before[output.name]), _best(after[output.name]))
        for before, after in zip(wide, narrow, strict=True)
    ]
    return float(np.concatenate(shares).mean()) if shares else None


def _best(scores: Array) -> Array:
    rows = scores.reshape(-1, scores.shape[-1]).astype(np.float64)
    return np.argsort(-rows, axis=-1, kind="stable")[:, :_BEST]
