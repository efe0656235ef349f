"""Lists of the transition counts on MovieLens-100K: what a re-ranker gets, and where what came next stands.

Of leave one out: a list is the LENGTH best items by the counts of the training parts (`families.markov`) of
those that the user has not had. A list that trains is by the counts of all other users, as its own step would
have counted itself; lists without what came next teach and tell a re-ranker nothing, and are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Literal

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


@cache
def markov_lists(*, split: Literal["train", "valid", "test"] = "test", seed: int = 0) -> RankingData:
    """Ranking data with `history` `[rows, 50]` and `candidates` `[rows, 30]`; what is ranked are places.

    Args:
        split: `train` has many steps of a user, drawn by the seed; the others have the held-out one.
        seed: of the steps that train.
    """
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
    found = [each for each in rows if each is not None]
    return RankingData(
        inputs={
            "history": left_pad([each[0] for each in found], movielens.HISTORY_LENGTH),
            "candidates": np.stack([each[1] for each in found]),
        },
        positives=np.array([each[2] for each in found], dtype=np.int64),
        ignored_ids=(),
    )


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


def _row(counts: Counts, often: Counts, history: Ints, following: int) -> tuple[Ints, Ints, int] | None:
    """History, list, and the place of what came next in it; None where it is not there."""
    listed = best(counts, often, history)
    place = np.flatnonzero(listed == following)
    return (history, listed, int(place[0])) if len(place) else None


def best(counts: Counts, often: Counts, history: Ints, length: int = LENGTH) -> Ints:
    """The best items after a history by decayed counts, then by how often they come, `[length]`."""
    recent = history[-_REMEMBERED:]
    decays = (DECAY ** np.arange(len(recent) - 1, -1, -1)).astype(np.float32)
    scores = decays @ counts[recent] + SHARE * often / often.max()
    scores[history] = -np.inf
    scores[0] = -np.inf
    first = np.argpartition(-scores, length)[:length]
    found: Ints = first[np.lexsort((first, -scores[first]))].astype(np.int32)
    return found
