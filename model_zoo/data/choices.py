"""Who chose which film of MovieLens-100K, whatever the stars: users by their ids, or as sets of films.

Leave one out as `sequences` has it, and each user's ratings split at random.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pocketrec.evaluation import RankingData
from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.data.sequences import Held, Ints, training_parts

Chosen = npt.NDArray[np.bool_]


def leave_one_out(*, split: Held = "test") -> RankingData:
    """As `movielens.leave_one_out`, with the id `user`, int32 `[943]`, in place of a history."""
    data = movielens.leave_one_out(split=split)
    return replace(data, inputs={"user": np.arange(1, len(data) + 1, dtype=np.int32)})


def training_choices() -> Chosen:
    """As `chosen_in`, of what trains of leave one out."""
    return chosen_in(training_parts(movielens.sequences()))


def chosen_in(parts: list[Ints]) -> Chosen:
    """Whether an item is in a user's part, `[users + 1, items + 1]`; entry i of `parts` is user id i + 1."""
    chosen = np.zeros((len(parts) + 1, len(movielens.item_vocabulary().tokens)), np.bool_)
    for user, part in enumerate(parts, start=1):
        chosen[user, part] = True
    return chosen


def random_parts(*, seed: int = 2020) -> tuple[list[Ints], list[Ints], list[Ints]]:
    """Each user's items that train, validate and test: each user's ratings split at random, 8:1:1.

    They are the very rows of RecBole 1.2.1, whose seed is 2020: the file's in the order of `torch.randperm`
    (`Interaction.shuffle`), and of each user's the last tenth, rounded down, to test, the one before it to
    validate (`Dataset.split_by_ratio`).
    """
    import torch

    table = movielens.ratings()
    order = torch.randperm(len(table.item), generator=torch.Generator().manual_seed(seed)).numpy()
    order = order[np.argsort(table.user[order], kind="stable")]
    ends = np.cumsum(np.bincount(table.user)[1:])
    parts: tuple[list[Ints], list[Ints], list[Ints]] = ([], [], [])
    for rows in np.split(order, ends[:-1]):
        tenth = len(rows) // 10
        cut = np.split(table.item[rows], [len(rows) - 2 * tenth, len(rows) - tenth])
        for part, items in zip(parts, cut, strict=True):
            part.append(items)
    return parts
