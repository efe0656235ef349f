"""Quality: how well a model ranks or classifies, reference against artifact, on the same data.

Full ranking over the catalogue without ids that the user has had and ids that are no items; equal
scores are ordered by item id. HR@k: the held-out item is among the k best. NDCG@k with one positive:
1 / log2(rank + 2), rank from 0 (Järvelin & Kekäläinen, 2002). AUC and log loss for labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Contract, Output
from pocketrec.errors import DataError, MissingExtra, RecipeError
from pocketrec.evaluation import Arrays, ClassificationData, EvaluationData, RankingData
from pocketrec.recipe import Evaluate
from pocketrec.report import RankingParity
from pocketrec.validate.fit import run_fitted
from pocketrec.validate.runtime import Array, Runtime

Floats = npt.NDArray[np.float32]
_EPSILON = 1e-7  # probabilities are clipped to this, float32's resolution, before the logarithm


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRun:
    """What one model reached on the evaluation data.

    Attributes:
        metrics: such as `hr@10` and `ndcg@10`, or `auc` and `log_loss`; NaN where a score was NaN.
        top_k: the k best item ids per user, int64 `[users, k]`, -1 where fewer remain; None for labels.
        examples: users or rows.
    """

    metrics: Mapping[str, float]
    top_k: npt.NDArray[np.int64] | None
    examples: int


def quality_of(
    evaluate: Evaluate, contract: Contract, runtimes: Mapping[str, Runtime], data: EvaluationData
) -> QualityRun:
    """The quality of a model given as one runtime per function; see `scores_of`."""
    scores = scores_of(evaluate, contract, runtimes, data)
    if isinstance(data, ClassificationData):
        meaning = contract.functions[evaluate.function].output(evaluate.output).meaning
        return QualityRun(
            metrics=classification_metrics(scores, data.labels, meaning=meaning),
            top_k=None,
            examples=len(data),
        )
    candidates = _candidates(scores, data)
    metrics = rank_metrics(candidates, data.positives, evaluate.k)
    return QualityRun(metrics=metrics, top_k=top_k_ids(candidates, evaluate.k), examples=len(data))


def scores_of(
    evaluate: Evaluate, contract: Contract, runtimes: Mapping[str, Runtime], data: EvaluationData
) -> Floats:
    """Scores over the catalogue, float32 `[users, items]`; for labels one number per row.

    User embeddings are multiplied with the catalogue's, which the item-side function computes from
    `data.catalogue`. Top-k ids become falling scores, and -inf for every item that is not listed.

    Raises:
        RecipeError: the output's meaning cannot be evaluated as the recipe says.
        DataError: the catalogue is missing.
    """
    out = contract.functions[evaluate.function].output(evaluate.output)
    values = _run(contract, runtimes, evaluate.function, data.inputs, evaluate.output)
    if isinstance(data, ClassificationData):
        if values.size != len(data):
            raise RecipeError(
                f"evaluate.output {evaluate.output!r} has shape {values.shape}; expected one number per row"
            )
        return values.reshape(-1).astype(np.float32)
    if out.meaning == "embedding":
        return _against_catalogue(evaluate, contract, runtimes, data, values.astype(np.float32))
    if out.meaning == "top_k_ids":
        return _from_lists(values, _items(contract, out))
    if values.ndim != 2:
        raise RecipeError(
            f"evaluate.output {evaluate.output!r}: shape {values.shape}, expected users × items"
        )
    return values.astype(np.float32)


def _run(
    contract: Contract, runtimes: Mapping[str, Runtime], function: str, inputs: Arrays, output: str
) -> Array:
    if function not in runtimes:
        raise RecipeError(f"evaluate: function {function!r} has no artifact; known: {', '.join(runtimes)}")
    values = run_fitted(runtimes[function], contract, contract.functions[function], inputs)
    if output not in values:
        raise DataError(f"function {function}: output {output!r} is missing; given: {', '.join(values)}")
    return values[output]


def _against_catalogue(
    evaluate: Evaluate,
    contract: Contract,
    runtimes: Mapping[str, Runtime],
    data: RankingData,
    users: Floats,
) -> Floats:
    function, output = evaluate.catalogue_function, evaluate.catalogue_output
    if function is None or output is None:
        raise RecipeError(
            f"evaluate.output {evaluate.output!r} is an embedding; "
            "add evaluate.catalogue_function and evaluate.catalogue_output"
        )
    if not data.catalogue:
        raise DataError("evaluation data has no catalogue; the item-side function needs one row per item id")
    items = _run(contract, runtimes, function, data.catalogue, output).astype(np.float32)
    if items.shape[-1] != users.shape[-1]:
        raise RecipeError(f"user embeddings have {users.shape[-1]} columns, items have {items.shape[-1]}")
    return users @ items.T


def _items(contract: Contract, out: Output) -> int:
    if out.vocabulary is None:
        raise RecipeError(f"output {out.name!r} holds ids of no vocabulary; add one to the contract")
    return contract.vocabularies[out.vocabulary].size


def _from_lists(lists: Array, items: int) -> Floats:
    ids = lists.astype(np.int64)
    scores = np.full((len(ids), items), -np.inf, np.float32)
    places = np.broadcast_to(-np.arange(ids.shape[1], dtype=np.float32), ids.shape)
    valid = (ids >= 0) & (ids < items)
    rows = np.broadcast_to(np.arange(len(ids))[:, None], ids.shape)
    scores[rows[valid], ids[valid]] = places[valid]
    return scores


def _candidates(scores: Floats, data: RankingData) -> Floats:
    """A copy with -inf for what is not ranked; the held-out item always stays."""
    users, items = scores.shape
    if users != len(data):
        raise DataError(f"{users} rows of scores for {len(data)} users")
    if int(data.positives.max()) >= items:
        raise DataError(f"held-out item {int(data.positives.max())} is beyond the {items} scored items")
    rows = np.arange(users)
    kept = scores[rows, data.positives]
    masked = scores.copy()
    masked[:, [each for each in data.ignored_ids if each < items]] = -np.inf
    masked[np.repeat(rows, np.diff(data.seen_offsets)), data.seen_ids] = -np.inf
    masked[rows, data.positives] = kept
    return masked


def rank_metrics(candidates: Floats, positives: npt.NDArray[np.int64], k: int) -> dict[str, float]:
    """`hr@k` and `ndcg@k` of the held-out items among `candidates`; NaN where a score is NaN.

    Args:
        candidates: scores `[users, items]`, -inf for what is not ranked.
        positives: held-out item ids `[users]`; one whose own score is -inf is never found.
        k: length of the list.
    """
    names = (f"hr@{k}", f"ndcg@{k}")
    if np.isnan(candidates).any():
        # NaN compares as false with everything and would put the item at the top.
        return dict.fromkeys(names, float("nan"))
    own = candidates[np.arange(len(positives)), positives][:, None]
    earlier = np.arange(candidates.shape[1])[None] < positives[:, None]
    ranks = (candidates > own).sum(1) + ((candidates == own) & earlier).sum(1)
    hits = (ranks < k) & (own[:, 0] > -np.inf)
    gains = np.where(hits, 1 / np.log2(ranks + 2), 0.0)
    return {names[0]: float(hits.mean()), names[1]: float(gains.mean())}


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
    shares = []
    for a, b in zip(left, right, strict=True):
        first, second = set(a[a >= 0].tolist()), set(b[b >= 0].tolist())
        longest = max(len(first), len(second))
        shares.append(len(first & second) / longest if longest else 1.0)
    return float(np.mean(shares)) if shares else float("nan")


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
    overlap = None
    if reference.top_k is not None and artifact.top_k is not None:
        overlap = top_k_overlap(reference.top_k, artifact.top_k)
        if any(np.isnan(value) for value in artifact.metrics.values()):
            overlap = float("nan")
    return RankingParity(
        examples=reference.examples,
        reference=dict(reference.metrics),
        artifact=dict(artifact.metrics),
        top_k_overlap=overlap,
    )
