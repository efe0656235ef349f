"""AUC: how likely a row labelled 1 scores above a row labelled 0.

    AUC = 1 / (P N) Σ_{i labelled 1} Σ_{j labelled 0} ([s_i > s_j] + ½ [s_i = s_j])

Ties count one half. Per row first: a row's placement is the share of the other class that it is on the
right side of; AUC is the mean placement of either class. Sources: Hanley and McNeil, The meaning and use
of the area under a ROC curve, Radiology 1982; placements: DeLong, DeLong and Clarke-Pearson, Biometrics
1988.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.validate.measure.metrics.ties import Doubles, mid_ranks


def auc(scores: npt.NDArray[Any], labels: npt.NDArray[Any]) -> float:
    """0 to 1; NaN where only one class is there, or a score is not finite."""
    found = placements(scores, labels)
    positive = labels == 1
    return float(found[positive].mean()) if positive.any() else float("nan")


def placements(scores: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Doubles:
    """For each row the share of the other class on the right side of it, float64 `[rows]`.

    NaN everywhere where AUC is.
    """
    positive = labels == 1
    count, other = int(positive.sum()), int((~positive).sum())
    if not count or not other or not np.isfinite(scores).all():
        return np.full(len(scores), np.nan)
    everywhere, within = mid_ranks(scores), mid_ranks(scores, positive.astype(np.int64))
    below = everywhere - within  # rows of the other class below, equal ones by half
    return np.where(positive, below / other, 1 - below / count)


def row_values(placed: Doubles, labels: npt.NDArray[Any]) -> Doubles:
    """Values per row whose mean is AUC, and whose spread is AUC's over draws of rows, to first order.

        v_i = A + rows / rows of its class · (placement_i - A)

    So what a mean's interval is computed from serves for AUC, and for the change of AUC by differences of
    placements. What is left out is of the order of 1 / rows.
    """
    positive = labels == 1
    middle = placed[positive].mean() if positive.any() else np.nan
    weights = len(labels) / np.where(positive, max(positive.sum(), 1), max((~positive).sum(), 1))
    values: Doubles = middle + weights * (placed - middle)
    return values
