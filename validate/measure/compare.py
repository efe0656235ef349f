"""Two runs over the same examples side by side: how far the metrics moved, and what became of the lists."""

from __future__ import annotations

import numpy as np

from pocketrec.report import RankingParity
from pocketrec.validate.measure.metrics.top_k_overlap import top_k_overlap
from pocketrec.validate.measure.ranking import QualityRun


def compare_quality(reference: QualityRun, artifact: QualityRun) -> RankingParity:
    """Both runs side by side, with the overlap of their lists where there are lists.

    Where lists have several lengths, the overlap is that of the length at which they agree least.
    """
    overlap, worst, row = None, None, None
    if reference.top_k is not None and artifact.top_k is not None:
        at = [top_k_overlap(reference.top_k[:, :k], artifact.top_k[:, :k]) for k in reference.ks]
        shares = min(at, key=lambda each: float(each.mean()))
        row = int(np.argmin(shares))
        overlap, worst = float(shares.mean()), float(shares[row])
        if any(np.isnan(value) for value in artifact.metrics.values()):
            overlap = float("nan")
    return RankingParity(
        examples=reference.examples,
        reference=dict(reference.metrics),
        artifact=dict(artifact.metrics),
        top_k_overlap=overlap,
        worst_overlap=worst,
        worst_row=row,
    )
