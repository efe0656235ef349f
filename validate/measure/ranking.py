"""What one model reached on the evaluation data: a few numbers per user or row, and the metrics of them.

Full ranking over the catalogue without ids that the user has had and ids that are no items. Each metric is a
file in `metrics/`; this is where they have names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import RecipeError
from pocketrec.validate.measure.metrics.auc import auc
from pocketrec.validate.measure.metrics.average_precision import average_precision
from pocketrec.validate.measure.metrics.calibration import adaptive_calibration_error, calibration_error
from pocketrec.validate.measure.metrics.gauc import user_aucs
from pocketrec.validate.measure.metrics.hit_rate import hit_rate
from pocketrec.validate.measure.metrics.log_loss import log_loss
from pocketrec.validate.measure.metrics.mrr import mrr
from pocketrec.validate.measure.metrics.ndcg import ndcg
from pocketrec.validate.measure.metrics.ranks import Doubles, Ids, Lists, Ranks
from pocketrec.validate.measure.metrics.recall import recall
from pocketrec.validate.measure.rows import KeptRows

Floats = npt.NDArray[np.float32]

# Of places of held-out items, per user; a name with its k, such as `ndcg@10`.
OF_PLACES: Mapping[str, Callable[[Ranks, int], Doubles]] = {
    "hr": hit_rate,
    "ndcg": ndcg,
    "mrr": mrr,
    "recall": recall,
    "map": average_precision,
}
_LOWER_IS_BETTER = frozenset({"log_loss", "ece", "adaptive_ece"})


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRun:
    """What one model reached on the evaluation data.

    Attributes:
        metrics: such as `hr@10` and `ndcg@10`, or `auc` and `log_loss`; NaN where a score was NaN.
        examples: users or rows.
        top_k: the best item ids per user, as many as the largest k, int32 `[users, k]`, -1 where fewer
            remain; None for labels.
        ks: the lengths at which lists are judged; empty for labels.
        places: of every user's held-out item, as of `places_of`; None for labels.
        scores: of every row, float32 `[rows]`; None for rankings.
        labels: what the rows are; None for rankings.
        users: whose row it is, where the recipe says; else None.
        meaning: of the scores, `probability` or `logit`; empty for rankings.
        rows: which of all examples were examined, `[examples]`; None for all.
        kept: function to what parity on every row compares; empty where nothing was kept.
    """

    metrics: Mapping[str, float]
    examples: int
    top_k: Lists | None = None
    ks: tuple[int, ...] = ()
    places: Doubles | None = None
    scores: Floats | None = None
    labels: Floats | None = None
    users: npt.NDArray[Any] | None = None
    rows: Ids | None = None
    meaning: str = ""
    kept: Mapping[str, KeptRows] = field(default_factory=dict)


def lower_is_better(metric: str) -> bool:
    """Whether a smaller value of the metric is the better one."""
    return metric.partition("@")[0] in _LOWER_IS_BETTER


def cut_of(metric: str) -> tuple[str, int]:
    """A metric of lists as its name and its k: `ndcg@10` is (`ndcg`, 10)."""
    name, _, k = metric.partition("@")
    return name, int(k)


def ranking_metrics(places: Doubles, *, names: Sequence[str], ks: Sequence[int]) -> dict[str, float]:
    """Every metric of places of held-out items at every k, the means over all users."""
    ranks = Ranks.of_one(places)
    return {f"{name}@{k}": float(OF_PLACES[name](ranks, k).mean()) for k in ks for name in names}


def classification_metrics(
    values: Floats,
    labels: Floats,
    *,
    meaning: str,
    names: Sequence[str] = ("auc", "log_loss"),
    users: npt.NDArray[Any] | None = None,
) -> dict[str, float]:
    """The metrics by their names; NaN where a value is NaN, and for AUC where only one class is there.

    Args:
        values: what the model gives, `[rows]`.
        labels: 0 or 1.
        meaning: of the values.
        names: as in a recipe.
        users: whose rows they are; `gauc` needs them.

    Raises:
        RecipeError: the output is neither a probability nor a logit.
    """
    if meaning not in ("probability", "logit"):
        raise RecipeError(f"evaluate.output means {meaning!r}; classification needs a probability or a logit")
    return {name: _label_metric(name, values, labels, meaning, users) for name in names}


def _label_metric(
    name: str, values: Floats, labels: Floats, meaning: str, users: npt.NDArray[Any] | None
) -> float:
    if name == "auc":
        return auc(values, labels)
    if name == "gauc":
        assert users is not None
        return user_aucs(values, labels, users).mean()
    if name == "log_loss":
        return float(
            log_loss(values, labels, meaning="logit" if meaning == "logit" else "probability").mean()
        )
    error = calibration_error if name == "ece" else adaptive_calibration_error
    return error(probabilities(values, meaning), labels)


def probabilities(values: Floats, meaning: str) -> Doubles:
    """What the model says as probabilities, float64 `[rows]`: logits go through the sigmoid."""
    x = values.astype(np.float64)
    return x if meaning == "probability" else np.exp(-np.logaddexp(0.0, -x))


def top_k_ids(candidates: Floats, k: int) -> Lists:
    """The k best item ids per user, best first, ties by id; -1 where fewer are ranked."""
    users, items = candidates.shape
    best = np.full((users, k), -1, np.int32)
    size = min(k, items)
    for user, row in enumerate(candidates):
        cut = np.partition(row, items - size)[items - size]
        ids = np.flatnonzero((row >= cut) & (row > -np.inf))
        ids = ids[np.lexsort((ids, -row[ids]))][:size]
        best[user, : len(ids)] = ids
    return best
