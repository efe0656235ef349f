"""Scores as the k best, and as probabilities."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import CallError
from pocketrec.package.host.items import shown


def check_k(k: object) -> int:
    """The number of items asked for; CallError `bad_k` where it is no whole number from 0."""
    if isinstance(k, bool) or not isinstance(k, int) or k < 0:
        raise CallError("bad_k", f"k is {shown(k)}; expected a whole number from 0")
    return k


def top_k(scores: Sequence[float], k: int, left_out: Collection[int]) -> list[int]:
    """The ids of the k best scores, best first; of equal scores the lower id comes first.

    Ids in `left_out` and scores of minus infinity are never listed; where fewer are left, all of them are.

    Raises:
        CallError: `bad_score`, where a score is not a number.
    """
    return [place for place, _ in best(list(enumerate(scores)), k, left_out)]


def best(scored: Sequence[tuple[int, float]], k: int, left_out: Collection[int]) -> list[tuple[int, float]]:
    """The k best of (id, score), best first; the same rules."""
    check_scores(scored, "id")
    kept = [each for each in scored if each[0] not in left_out and each[1] != -math.inf]
    return sorted(kept, key=lambda each: (-each[1], each[0]))[:k]


def best_of(scores: npt.NDArray[Any], k: int, left_out: Collection[int]) -> list[tuple[int, float]]:
    """The k best of the scores of all ids, `[ids]`; what `best` gives for them, without a look at each."""
    wrong = np.flatnonzero(np.isnan(scores))
    if len(wrong):
        check_scores([(int(wrong[0]), math.nan)], "id")
    kept = scores != -math.inf
    kept[[each for each in left_out if each < len(scores)]] = False
    places = np.flatnonzero(kept)
    if not 0 < k < len(places):
        places = places[: len(places) if k else 0]
    else:
        values = scores[places]
        places = places[values >= np.partition(values, len(values) - k)[len(values) - k]]
    order = places[np.argsort(-scores[places], kind="stable")][:k]
    return list(zip(order.tolist(), map(float, scores[order]), strict=True))


def check_scores(scored: Sequence[tuple[int, float]], what: str) -> None:
    """Checks that every score is a number; CallError `bad_score` names the first that is not."""
    for place, score in scored:
        if math.isnan(score):
            raise CallError(
                "bad_score", f"the score of {what} {place} is not a number; build the model again"
            )


def softmax(logits: Sequence[float], left_out: Collection[int]) -> list[float]:
    """The probability of each logit among all that are not left out, in float64; 0 for those."""
    kept = [each for place, each in enumerate(logits) if place not in left_out]
    top = max(kept, default=0.0)
    if not kept or top == -math.inf:
        return [0.0] * len(logits)
    raised = [0.0 if place in left_out else math.exp(each - top) for place, each in enumerate(logits)]
    total = sum(raised)
    return [each / total for each in raised]


def sigmoid(logit: float) -> float:
    """The probability of a logit, in float64."""
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    raised = math.exp(logit)
    return raised / (1 + raised)


def drawn(probabilities: Sequence[float], draw: float, left_out: Collection[int]) -> int | None:
    """The first id whose cumulated share exceeds `draw` in [0, 1); None where none has a share.

    Summed in float64 in the order of ids; what is left out has no share.
    """
    total, reached, last = _total(probabilities, left_out), 0.0, None
    for place, each in enumerate(probabilities):
        if place in left_out or each <= 0:
            continue
        reached, last = reached + each, place
        if reached / total > draw:
            return place
    return last


def share(probabilities: Sequence[float], place: int, left_out: Collection[int]) -> float:
    """The probability of an id among all that are not left out, in float64; 0 where none has any."""
    total = _total(probabilities, left_out)
    return probabilities[place] / total if total else 0.0


def _total(probabilities: Sequence[float], left_out: Collection[int]) -> float:
    total = 0.0
    for place, each in enumerate(probabilities):
        total += 0.0 if place in left_out else each
    return total
