"""Evaluation data: what a recipe's data factory returns, and what probes and metrics read.

Padded arrays keyed by the contract's input names; the first axis runs over examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pocketrec.errors import DataError

Array = npt.NDArray[np.generic]
Arrays = Mapping[str, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingData:
    """Users with one held-out positive each, ranked against the full catalogue.

    Attributes:
        inputs: the evaluated function's inputs, `[users, ...]`.
        positives: held-out item id of each user, int64 `[users]`.
        seen_ids: ids to leave out of each user's list, concatenated, int64.
        seen_offsets: where each user's ids begin in `seen_ids`, int64 `[users + 1]`.
        catalogue: inputs of the item-side function, one row per item id; empty where the
            evaluated function scores the whole catalogue by itself.
        ignored_ids: ids that are no items (padding, unknown) and never ranked.
    """

    inputs: Arrays
    positives: npt.NDArray[np.int64]
    seen_ids: npt.NDArray[np.int64]
    seen_offsets: npt.NDArray[np.int64]
    catalogue: Arrays
    ignored_ids: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        _check_rows(self.inputs, len(self.positives), "positives")
        if len(self.seen_offsets) != len(self.positives) + 1:
            raise DataError(
                f"seen_offsets: {len(self.seen_offsets)} entries for {len(self.positives)} users; "
                f"expected {len(self.positives) + 1}"
            )

    def __len__(self) -> int:
        return len(self.positives)

    def seen(self, user: int) -> npt.NDArray[np.int64]:
        """Item ids that user number `user` has had, int64 `[n]`."""
        return self.seen_ids[self.seen_offsets[user] : self.seen_offsets[user + 1]]

    def sample(self) -> RankingData:
        """The data itself: it is in memory."""
        return self

    def parts(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[RankingData]:
        """The users from `start` to `stop`, at most `size` at a time, in order."""
        for first, last in cuts(size, start, len(self) if stop is None else stop):
            offsets = self.seen_offsets[first : last + 1]
            yield RankingData(
                inputs={name: array[first:last] for name, array in self.inputs.items()},
                positives=self.positives[first:last],
                seen_ids=self.seen_ids[offsets[0] : offsets[-1]],
                seen_offsets=offsets - offsets[0],
                catalogue=self.catalogue,
                ignored_ids=self.ignored_ids,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationData:
    """Examples with a binary label, for AUC and log loss.

    Attributes:
        inputs: the evaluated function's inputs, `[examples, ...]`.
        labels: 0 or 1, float32 `[examples]`.
    """

    inputs: Arrays
    labels: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        _check_rows(self.inputs, len(self.labels), "labels")

    def __len__(self) -> int:
        return len(self.labels)

    def sample(self) -> ClassificationData:
        """The data itself: it is in memory."""
        return self

    def parts(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[ClassificationData]:
        """The examples from `start` to `stop`, at most `size` at a time, in order."""
        for first, last in cuts(size, start, len(self) if stop is None else stop):
            inputs = {name: array[first:last] for name, array in self.inputs.items()}
            yield ClassificationData(inputs=inputs, labels=self.labels[first:last])


class EvaluationData(Protocol):
    """Evaluation data of either kind, in memory or in files."""

    def __len__(self) -> int: ...

    def sample(self) -> RankingData | ClassificationData:
        """Some rows; all of them where they are in memory."""
        ...

    def parts(
        self, size: int, start: int = 0, stop: int | None = None
    ) -> Iterator[RankingData | ClassificationData]:
        """The rows from `start` to `stop`, at most `size` at a time, in order."""
        ...


def _check_rows(inputs: Arrays, rows: int, against: str) -> None:
    if rows == 0:
        raise DataError(f"evaluation data has no examples ({against} is empty)")
    for name, array in inputs.items():
        if len(array) != rows:
            raise DataError(f"evaluation input {name}: {len(array)} rows, but {against} has {rows}")


def cuts(size: int, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The first row and the end of consecutive parts of at most `size` rows."""
    return ((first, min(first + size, stop)) for first in range(start, stop, size))


def batches(inputs: Arrays, size: int) -> Iterator[dict[str, Array]]:
    """Consecutive slices of at most `size` rows of every array, in order."""
    rows = len(next(iter(inputs.values())))
    for start in range(0, rows, size):
        yield {name: array[start : start + size] for name, array in inputs.items()}
