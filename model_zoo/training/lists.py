"""Lists of the transition counts on MovieLens-100K: what a re-ranker gets, and where what came next stands.

Of leave one out: a list is the LENGTH best items by the counts of the training parts (`families.markov`) of
those that the user has not had. A list that trains is by the counts of all other users, as its own step would
have counted itself; lists without what came next teach and tell a re-ranker nothing, and are left out.
A re-ranker may be told the scores of a list in place of the history, as logarithms: their relevance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pocketrec.evaluation import RankingData
from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.data.sequences import Ints, left_pad, training_parts
from pocketrec.model_zoo.families.markov import DECAY, SHARE

LENGTH = 30
_REMEMBERED = 12  # items; what is left of the one before is .6^12, a five-hundredth
_FIRST, _STEPS = 5, 30  # of a user's sequence: where lists begin, and how many train
Counts = npt.NDArray[np.float32]
Split = Literal["train", "valid", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _List:
    """One list: what was had before it, its items and their scores, and the place of what came next."""

    history: Ints
    items: Ints
    scores: Counts
    place: int


def markov_lists(*, split: Split = "test", seed: int = 0) -> RankingData:
    """Ranking data with `history` `[rows, 50]` and `candidates` `[rows, 30]`; what is ranked are places.

    Args:
        split: `train` has many steps of a user, drawn by the seed; the others have the held-out one.
        seed: of the steps that train.
    """
    found = _lists(split, seed)
    history = left_pad([each.history for each in found], movielens.HISTORY_LENGTH)
    return _ranked(found, {"history": history})


def relevant_lists(*, split: Split = "test", seed: int = 0) -> RankingData:
    """As `markov_lists`, with `relevance`, float32 `[rows, 30]`, in place of the history."""
    found = _lists(split, seed)
    return _ranked(found, {"relevance": np.log(np.stack([each.scores for each in found]))})


def _ranked(found: Sequence[_List], inputs: Mapping[str, npt.NDArray[Any]]) -> RankingData:
    return RankingData(
        inputs={**inputs, "candidates": np.stack([each.items for each in found])},
        positives=np.array([each.place for each in found], dtype=np.int64),
        ignored_ids=(),
    )


@cache
def _lists(split: Split, seed: int) -> tuple[_List, ...]:
    sequences = movielens.sequences()
    parts, counts = training_parts(sequences), counted(training_parts(sequences))
    often = counts.sum(axis=0)
    rng, rows = np.random.default_rng(seed), []
    for whole, part in zip(sequences, parts, strict=True):
        if split == "train":
            _count(counts, part, -1)
            steps = rng.permutation(np.arange(_FIRST, len(part)))[:_STEPS]
            rows += [_row(counts, often, part[:step], int(part[step])) for step in steps]
            _count(counts, part, 1)
        else:
            held = len(whole) - (1 if split == "test" else 2)
            rows.append(_row(counts, often, whole[:held], int(whole[held])))
    return tuple(each for each in rows if each is not None)


def counted(sequences: Sequence[Ints]) -> Counts:
    """How often each item came right after each other one, `[items + 1, items + 1]`, and small shares."""
    size = max(int(each.max()) for each in sequences) + 1
    counts = np.zeros((size, size), np.float32)
    for each in sequences:
        _count(counts, each, 1)
    return counts


def _count(counts: Counts, sequence: Ints, by: int) -> None:
    for before, after in pairwise(sequence):
        counts[before, after] += by


def _row(counts: Counts, often: Counts, history: Ints, following: int) -> _List | None:
    """The list after a history; None where what came next is not in it."""
    items, scores = best(counts, often, history)
    place = np.flatnonzero(items == following)
    if not len(place):
        return None
    return _List(history=history, items=items, scores=scores, place=int(place[0]))


def best(counts: Counts, often: Counts, history: Ints, length: int = LENGTH) -> tuple[Ints, Counts]:
    """The best items after a history by decayed counts, then by how often they come, and their scores."""
    recent = history[-_REMEMBERED:]
    decays = (DECAY ** np.arange(len(recent) - 1, -1, -1)).astype(np.float32)
    scores = decays @ counts[recent] + SHARE * often / often.max()
    scores[history] = -np.inf
    scores[0] = -np.inf
    first = np.argpartition(-scores, length)[:length]
    found: Ints = first[np.lexsort((first, -scores[first]))].astype(np.int32)
    return found, scores[found]
