"""The measures of quality: of rankings, of labels, and of one model beside another.

Full ranking over the catalogue without ids that the user has had and ids that are no items; equal
scores are ordered by item id. HR@k: the held-out item is among the k best. NDCG@k with one positive:
1 / log2(rank + 2), rank from 0 (Järvelin & Kekäläinen, 2002). AUC and log loss for labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pocketrec.errors import MissingExtra, RecipeError
from pocketrec.report import RankingParity
from pocketrec.validate.measure.rows import KeptRows

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
_EPSILON = 1e-7  # probabilities are clipped to this, float32's resolution, before the logarithm


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRun:
    """What one model reached on the evaluation data.

    Attributes:
        metrics: such as `hr@10` and `ndcg@10`, or `auc` and `log_loss`; NaN where a score was NaN.
        top_k: the k best item ids per user, int64 `[users, k]`, -1 where fewer remain; None for labels.
        examples: users or rows.
        scores: of every row, float32 `[rows]`; None for rankings.
        kept: function to what parity on every row compares; empty where nothing was kept.
    """

    metrics: Mapping[str, float]
    top_k: npt.NDArray[np.int64] | None
    examples: int
    scores: Floats | None = None
    kept: Mapping[str, KeptRows] = field(default_factory=dict)


def rank_metrics(candidates: Floats, positives: npt.NDArray[np.int64], k: int) -> dict[str, float]:
    """`hr@k` and `ndcg@k` of the held-out items among `candidates`; see `rank_rows`."""
    return ranking_metrics(*rank_rows(candidates, positives, k), k)


def ranking_metrics(hits: Doubles, gains: Doubles, k: int) -> dict[str, float]:
    """`hr@k` and `ndcg@k` of all users."""
    return {f"hr@{k}": float(hits.mean()), f"ndcg@{k}": float(gains.mean())}


def rank_rows(candidates: Floats, positives: npt.NDArray[np.int64], k: int) -> tuple[Doubles, Doubles]:
    """Every user's hit (0 or 1) and gain, float64 `[users]`; NaN where one of the scores is NaN.

    Args:
        candidates: scores `[users, items]`, -inf for what is not ranked.
        positives: held-out item ids `[users]`; one whose own score is -inf is never found.
        k: length of the list.
    """
    own = candidates[np.arange(len(positives)), positives][:, None]
    earlier = np.arange(candidates.shape[1])[None] < positives[:, None]
    ranks = (candidates > own).sum(1) + ((candidates == own) & earlier).sum(1)
    hits, gains = gains_of((ranks < k) & (own[:, 0] > -np.inf), ranks)
    unclear = np.isnan(candidates).any(axis=1)
    # NaN compares as false with everything and would put the item at the top.
    return np.where(unclear, np.nan, hits), np.where(unclear, np.nan, gains)


def gains_of(found: npt.NDArray[np.bool_], ranks: npt.NDArray[np.int64]) -> tuple[Doubles, Doubles]:
    """Hits and gains of users whose held-out item was `found` at `ranks`, from 0."""
    return found.astype(np.float64), np.where(found, 1 / np.log2(ranks + 2), 0.0)


def top_k_ids(candidates: Floats, k: int) -> npt.NDArray[np.int64]:
    """The k best item ids per user, best first, ties by id; -1 where fewer are ranked."""
    users, items = candidates.shape
    best = np.full((users, k), -1, np.int64)
    size = min(k, items)
    for user, row in enumerate(candidates):
        cut = np.partition(row, items - size)[items - size]
        ids = np.flatnonzero((row >= cut) & (row > -np.inf))
        ids = ids[np.lexsort((ids, -row[ids]))][:size]
        best[user, : len(ids)] = ids
    return best


def top_k_overlap(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> float:
    """Mean share of the ids of each row of `left` that the same row of `right` holds too.

    -1 stands for nothing; a row without ids counts as 1 where the other has none either.
    """
    shares = overlap_shares(left, right)
    return float(np.mean(shares)) if len(shares) else float("nan")


def overlap_shares(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> Doubles:
    """The share of each row, float64 `[rows]`; see `top_k_overlap`."""
    shares = []
    for a, b in zip(left, right, strict=True):
        first, second = set(a[a >= 0].tolist()), set(b[b >= 0].tolist())
        longest = max(len(first), len(second))
        shares.append(len(first & second) / longest if longest else 1.0)
    return np.asarray(shares, np.float64)


def classification_metrics(
    values: Floats, labels: npt.NDArray[np.float32], *, meaning: str
) -> dict[str, float]:
    """`auc` and `log_loss`; NaN where a value is NaN or only one class is there.

    Raises:
        RecipeError: the output is neither a probability nor a logit.
    """
    try:
        from sklearn.metrics import roc_auc_score
    except ModuleNotFoundError:
        raise MissingExtra("scikit-learn", "build") from None
    if meaning not in ("probability", "logit"):
        raise RecipeError(f"evaluate.output means {meaning!r}; classification needs a probability or a logit")
    if np.isnan(values).any():
        return {"auc": float("nan"), "log_loss": float("nan")}
    x = values.astype(np.float64)
    if meaning == "logit":
        losses = np.logaddexp(0.0, x) - labels * x
    else:
        p = np.clip(x, _EPSILON, 1 - _EPSILON)
        losses = -(labels * np.log(p) + (1 - labels) * np.log1p(-p))
    both = len(np.unique(labels)) == 2
    auc = float(roc_auc_score(labels, x)) if both and np.isfinite(x).all() else float("nan")
    return {"auc": auc, "log_loss": float(losses.mean())}


def compare_quality(reference: QualityRun, artifact: QualityRun) -> RankingParity:
    """Both runs side by side, with the overlap of their lists where there are lists."""
    overlap, worst, row = None, None, None
    if reference.top_k is not None and artifact.top_k is not None:
        shares = overlap_shares(reference.top_k, artifact.top_k)
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
