"""Places of relevant items in each user's list: what the metrics of rankings are computed from.

Places count from 0. Ties: equal scores are ordered by item id, the smaller first, so that a ranking is
one order and not a set of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from pocketrec.errors import DataError

Doubles = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]
Lists = npt.NDArray[np.integer[Any]]  # ids of items `[users, k]`, best first, -1 where fewer are listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """The places of every user's relevant items.

    Attributes:
        places: float64 `[users, most]`, rising along a row; infinite where an item is never found, or where
            there are fewer; NaN in a whole row that could not be ranked.
        relevant: how many relevant items each user has, int64 `[users]`, found or not.
    """

    places: Doubles
    relevant: Ids

    @classmethod
    def of_one(cls, places: Doubles) -> Self:
        """Of one relevant item per user, `[users]`."""
        return cls(places=places[:, None], relevant=np.ones(len(places), np.int64))

    @classmethod
    def of_lists(cls, lists: Sequence[Sequence[int]], relevant: Sequence[Sequence[int]]) -> Self:
        """Of ranked lists of ids, best first, and each user's relevant ids.

        Raises:
            DataError: there are not as many lists as users, or a user has no relevant item.
        """
        if len(lists) != len(relevant):
            raise DataError(f"{len(lists)} lists for {len(relevant)} users; expected one each")
        empty = [user for user, each in enumerate(relevant) if not len(set(each))]
        if empty:
            raise DataError(f"user {empty[0]} has no relevant item; leave the user out")
        wanted = [set(each) for each in relevant]
        places = np.full((len(lists), max(map(len, wanted), default=1)), np.inf)
        for user, row in enumerate(lists):
            found = [place for place, item in enumerate(row) if item in wanted[user]]
            places[user, : len(found)] = found
        return cls(places=places, relevant=np.array([len(each) for each in wanted], np.int64))

    def __len__(self) -> int:
        return len(self.places)

    def clear(self, values: npt.NDArray[Any]) -> Doubles:
        """The users' values as float64; NaN for users who could not be ranked."""
        return np.where(np.isnan(self.places[:, 0]), np.nan, values.astype(np.float64))


def places_of(scores: npt.NDArray[np.float32], items: Ids) -> Doubles:
    """The place of one item per user among all, `[users]`.

    Args:
        scores: `[users, items]`, -inf for what is not ranked.
        items: ids `[users]`; one whose own score is -inf is never found.

    Returns:
        Infinite where the item is never found; NaN where one of the user's scores is NaN, which compares as
        false with everything and would put the item first.
    """
    own = scores[np.arange(len(items)), items][:, None]
    earlier = np.arange(scores.shape[1])[None] < items[:, None]
    places: Doubles = ((scores > own).sum(1) + ((scores == own) & earlier).sum(1)).astype(np.float64)
    places[own[:, 0] == -np.inf] = np.inf
    places[np.isnan(scores).any(axis=1)] = np.nan
    return places
