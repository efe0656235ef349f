"""Calibration after compression: whether probabilities are still those of the model, as probabilities.

An app that shows "87 % match", or multiplies a probability with a price, is hurt by a drift that changes no
order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pocketrec.report import Calibration, Interval
from pocketrec.validate.measure.bootstrap import bootstrap
from pocketrec.validate.measure.metrics.calibration import adaptive_calibration_error, calibration_error
from pocketrec.validate.measure.ranking import QualityRun, probabilities

DRIFT = 0.005  # a probability that is shown in whole per cent shows another one from half of one on


def calibration_of(reference: QualityRun, artifact: QualityRun) -> Calibration | None:
    """What became of the probabilities; None for rankings, which have none.

    The warning comes where their mean moved by more than `DRIFT` and its interval excludes none at all, or
    where a calibration error rose by more than `DRIFT`, or could not be computed.
    """
    if reference.scores is None or reference.labels is None or artifact.scores is None:
        return None
    labels, meaning = reference.labels, reference.meaning
    before, after = probabilities(reference.scores, meaning), probabilities(artifact.scores, meaning)
    moved = after - before
    interval = bootstrap(moved).intervals[0] if np.isfinite(moved).all() else None
    found = Calibration(
        ece=(calibration_error(before, labels), calibration_error(after, labels)),
        adaptive_ece=(adaptive_calibration_error(before, labels), adaptive_calibration_error(after, labels)),
        shift=float(moved.mean()),
        interval=interval,
    )
    said = "; ".join(_drifts(found, interval))
    return (
        replace(found, warning=f"{said}: calibrate it before it is used as a probability") if said else found
    )


def _drifts(found: Calibration, interval: Interval | None) -> Iterator[str]:
    if interval is None:
        yield "probabilities are not finite"
    elif abs(found.shift) > DRIFT and not interval.low <= 0 <= interval.high:
        yield f"probabilities moved by {found.shift:+.3g} on average"
    for name, (before, after) in (("", found.ece), ("adaptive ", found.adaptive_ece)):
        if after - before > DRIFT:
            yield f"the {name}calibration error rose from {before:.4f} to {after:.4f}"
