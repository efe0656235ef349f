"""Histories as training and evaluation read them: one sequence of item ids a user, ids from 1, 0 pads.

Leave one out: of each user's items in order of time the last is the test item, the one before it the
validation item, the rest trains. All items are ranked, those that the user has had before are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from pocketrec.evaluation import RankingData

Ints = npt.NDArray[np.int32]
Moments = npt.NDArray[np.int64]
Held = Literal["valid", "test"]


def leave_one_out_of(
    sequences: Sequence[Ints],
    *,
    split: Held,
    length: int,
    users: Mapping[str, Ints] | None = None,
    catalogue: Mapping[str, Ints] | None = None,
) -> RankingData:
    """Ranking data with `history`, int32 `[users, length]`, left-padded with 0.

    Args:
        sequences: each user's item ids in order of time, at least three.
        split: which item is held out.
        length: how many of the last items a history has.
        users: what else is an input of the user's side, by name, `[users, ...]`.
        catalogue: the inputs of the item's side; row i is item id i.
    """
    place = {"valid": -2, "test": -1}[split]
    seen = [each[:place] for each in sequences]
    return RankingData(
        inputs={"history": left_pad(seen, length), **(users or {})},
        positives=np.array([each[place] for each in sequences], dtype=np.int64),
        seen_ids=np.concatenate(seen).astype(np.int64),
        seen_offsets=np.cumsum([0, *map(len, seen)], dtype=np.int64),
        catalogue=catalogue or {},
    )


def training_parts(sequences: Sequence[Ints]) -> list[Ints]:
    """What trains: every sequence without its last two items."""
    return [each[:-2] for each in sequences]


def left_pad(rows: Sequence[Ints], length: int) -> Ints:
    """The last `length` ids of each row, filled with 0 on the left, int32 `[rows, length]`."""
    padded = np.zeros((len(rows), length), dtype=np.int32)
    for target, row in zip(padded, rows, strict=True):
        recent = row[-length:]
        target[length - len(recent) :] = recent
    return padded


def items_before(past: tuple[Ints, Moments, Ints], asked: tuple[Ints, Moments], *, length: int) -> Ints:
    """The last items of a user before a moment, int32 `[asked, length]`, filled with 0 on the left.

    Args:
        past: users, moments from 0 and items, `[n]` each; of equal moments the later row is later.
        asked: users and moments, `[asked]` each; what was at the same moment does not count.
        length: of every history.
    """
    user, moment, item = past
    last = 1 + max(int(each.max(initial=0)) for each in (moment, asked[1]))
    order = np.lexsort((moment, user))
    keys, items = user[order].astype(np.int64) * last + moment[order], item[order]
    end = np.searchsorted(keys, asked[0].astype(np.int64) * last + asked[1], side="left")
    start = np.searchsorted(keys, asked[0].astype(np.int64) * last, side="left")
    place = end[:, None] + np.arange(-length, 0)
    return np.where(place >= start[:, None], items[place.clip(0)], 0).astype(np.int32)
