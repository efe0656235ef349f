"""Where padding stands in the rows of an input, and whether that is what the contract says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Contract, Feature, VocabularySpec
from pocketrec.errors import DataError

Ids = npt.NDArray[Any]

_FEW = 3  # rows, below which equal ids at an end say nothing
_MOST = 0.9  # of such rows, for an id to be what fills them
_SOME = 0.05  # of all rows
_STRAY = 0.1  # of padded rows: unknown items may stand at the other end, too


@dataclass(slots=True, kw_only=True)
class _Rows:
    """How many rows are so, and the number of the first."""

    count: int = 0
    first: int = -1

    def add(self, found: npt.NDArray[np.bool_], numbers: npt.NDArray[np.int64]) -> None:
        """Counts rows of a part."""
        if found.any() and self.first < 0:
            self.first = int(numbers[np.argmax(found)])
        self.count += int(found.sum())


@dataclass(slots=True, kw_only=True)
class PaddingSeen:
    """What the rows of one input show of padding, gathered part by part.

    Attributes:
        rows: how many there were.
        left: those with padding at their start only.
        right: those with padding at their end only.
        runs: ids that stand at least twice at one end of a row of more than one id, with their rows.
    """

    contract: Contract
    feature: Feature
    rows: int = 0
    left: _Rows = field(default_factory=_Rows)
    right: _Rows = field(default_factory=_Rows)
    runs: dict[int, _Rows] = field(default_factory=dict)

    @property
    def _spec(self) -> VocabularySpec:
        return self.contract.vocabularies[str(self.feature.vocabulary)]

    def add(self, values: Ids, first: int) -> None:
        """Counts the rows of a part whose first row has the number `first`."""
        lists = values.reshape(-1, values.shape[-1])
        numbers = np.repeat(first + np.arange(len(values)), len(lists) // max(1, len(values)))
        fills = self._fills(lists)
        self.left.add(fills[:, 0] & ~fills[:, -1], numbers)
        self.right.add(fills[:, -1] & ~fills[:, 0], numbers)
        self.rows += len(lists)
        if lists.shape[1] > 2:
            self._count_runs(lists, numbers)

    def _fills(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """Where the ids are padding, or become it in the graph."""
        found: npt.NDArray[np.bool_] = ids == self._spec.padding_id
        if self.feature.out_of_vocabulary == "padding":
            found = found | (ids < 0) | (ids >= self._spec.size)
        return found

    def _count_runs(self, lists: Ids, numbers: npt.NDArray[np.int64]) -> None:
        varied = (lists != lists[:, :1]).any(axis=1)
        for one, two in ((0, 1), (-1, -2)):
            twice = varied & (lists[:, one] == lists[:, two])
            ids, first, counts = np.unique(lists[twice, one], return_index=True, return_counts=True)
            places = numbers[twice][first]
            for each, place, count in zip(ids.tolist(), places.tolist(), counts.tolist(), strict=True):
                known = self.runs.setdefault(each, _Rows(first=place))
                known.count += count

    def verdict(self) -> Iterator[str]:
        """What is to be said; DataError naming row and key where the rows contradict the contract."""
        self._check_id()
        stated = str(self.feature.padding_side)
        other = "right" if stated == "left" else "left"
        right, wrong = (self.left, self.right) if stated == "left" else (self.right, self.left)
        name, padded = self.feature.name, right.count + wrong.count
        if wrong.count > _STRAY * padded:
            raise DataError(
                f"evaluation data: input {name}: padding stands on the {other} in {wrong.count} of {padded} "
                f"padded rows, such as row {wrong.first}, and the contract says padding_side = {stated!r}; "
                f"set padding_side = {other!r}, or correct the data"
            )
        if wrong.count:
            few = f"{wrong.count} of {padded} padded rows"
            yield f"{name}: {few} are padded on the {other}, such as row {wrong.first}"
        if not padded:
            yield f"padding_side of {name} was not checked: no evaluation row is padded at one end"

    def _check_id(self) -> None:
        """Checks that what fills the rows is the padding id; DataError where it is another."""
        total = sum(each.count for each in self.runs.values())
        likely = max(self.runs, key=lambda each: self.runs[each].count, default=None)
        if likely is None or self._fills(np.asarray([likely]))[0]:
            return
        found = self.runs[likely]
        if found.count < max(_FEW, _MOST * total, _SOME * self.rows):
            return
        name, key = self.feature.name, f"contract.vocabularies.{self.feature.vocabulary}.padding_id"
        raise DataError(
            f"evaluation data: input {name}: {found.count} of {self.rows} rows are filled with id {likely}, "
            f"such as row {found.first}, and the contract says padding_id = {self._spec.padding_id}; set "
            f"{key} = {likely}, or correct the data"
        )
