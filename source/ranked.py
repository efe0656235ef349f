"""What is ranked, and whether held-out, seen and ignored ids and the catalogue are of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Contract, Feature
from pocketrec.errors import DataError
from pocketrec.evaluation import ClassificationData, RankingData
from pocketrec.recipe import Evaluate

Ids = npt.NDArray[Any]

_SHOWN = 3  # ids in a note


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """What is ranked: the vocabulary of the evaluated output, or of the item-side function's ids."""

    contract: Contract
    evaluate: Evaluate

    @property
    def vocabulary(self) -> str | None:
        """The name of the vocabulary whose ids are ranked; None where nothing says it."""
        output = self.contract.functions[self.evaluate.function].output(self.evaluate.output)
        if output.vocabulary is not None or self.evaluate.catalogue_function is None:
            return output.vocabulary
        ids = self._item_ids()
        return None if ids is None else ids.vocabulary

    def _item_ids(self) -> Feature | None:
        """The item-side function's own id; None where there is not exactly one input of kind `id`."""
        inputs = self.contract.functions[str(self.evaluate.catalogue_function)].inputs
        single = [each for each in inputs if each.kind == "id" and each.name in ("item", "item_id")]
        single = single or [each for each in inputs if each.kind == "id"]
        return single[0] if len(single) == 1 else None

    def size(self, part: RankingData) -> int | None:
        """How many items there are; None where nothing says it."""
        if part.catalogue:
            return len(next(iter(part.catalogue.values())))
        output = self.contract.functions[self.evaluate.function].output(self.evaluate.output)
        if self.vocabulary is not None:
            return self.contract.vocabularies[self.vocabulary].size
        last = output.shape[-1] if output.shape else None
        return last if isinstance(last, int) else None

    def check(self, part: RankingData, first: int) -> None:
        """Checks held-out, seen and ignored ids, and that there is something to rank against."""
        ignored = np.asarray(part.ignored_ids, np.int64)
        lost = np.flatnonzero(np.isin(part.positives, ignored))
        if len(lost):
            row = int(lost[0])
            raise DataError(
                f"evaluation data: the held-out item of row {first + row} is {part.positives[row]}, which "
                "ignored_ids names as no item (padding, unknown); leave such rows out"
            )
        items = self.size(part)
        if items is None:
            return
        _check_among("held-out item", part.positives, np.arange(len(part)), items, first)
        owners = np.repeat(np.arange(len(part)), np.diff(part.seen_offsets))
        _check_among("seen item", part.seen_ids, owners, items, first)
        _check_rivals(part, owners, ignored[ignored < items], items, first)

    def check_catalogue(self, sample: RankingData) -> tuple[str, ...]:
        """Checks that the catalogue has a row per id, in the order of ids."""
        if not sample.catalogue or self.evaluate.catalogue_function is None:
            return ()
        ids = self._item_ids()
        if ids is None or ids.vocabulary is None or ids.name not in sample.catalogue:
            return ("the catalogue's rows were not compared with a vocabulary: the item side has no id",)
        given = np.asarray(sample.catalogue[ids.name]).reshape(-1)
        size = self.contract.vocabularies[ids.vocabulary].size
        if len(given) != size:
            raise DataError(
                f"evaluation data: the catalogue has {len(given)} rows for the {size} ids of vocabulary "
                f"{ids.vocabulary!r}; give one row per id, in their order"
            )
        aside = {self.contract.vocabularies[ids.vocabulary].padding_id} | set(sample.ignored_ids)
        wrong = [row for row in np.flatnonzero(given != np.arange(size)).tolist() if row not in aside]
        if wrong:
            raise DataError(
                f"evaluation data: row {wrong[0]} of the catalogue is {ids.name} {given[wrong[0]]}; expected "
                "one row per id, in their order"
            )
        return ()

    def notes(self, sample: RankingData | ClassificationData) -> Iterator[str]:
        """What could not be checked of what is ranked, and items that are never ranked."""
        if not isinstance(sample, RankingData):
            return
        if self.vocabulary is None:
            yield (
                f"output {self.evaluate.output} names no vocabulary: its items were not compared with tokens"
                ", and apps get its numbers, no items"
            )
            return
        spec = self.contract.vocabularies[self.vocabulary]
        items = [each for each in sample.ignored_ids if each not in (spec.padding_id, spec.unknown_id)]
        if items:
            shown = ", ".join(map(str, items[:_SHOWN])) + (" …" if len(items) > _SHOWN else "")
            yield (
                f"never ranked: {shown} of vocabulary {self.vocabulary}, by ignored_ids, and neither its "
                "padding_id nor its unknown_id"
            )


def _check_among(what: str, ids: Ids, owners: npt.NDArray[np.int64], items: int, first: int) -> None:
    wrong = np.flatnonzero((ids < 0) | (ids >= items))
    if len(wrong):
        place = int(wrong[0])
        raise DataError(
            f"evaluation data: {what} {ids[place]} of row {first + owners[place]} is not among the {items} "
            f"items; expected ids from 0 to {items - 1}; correct the data, or the vocabulary"
        )


def _check_rivals(
    part: RankingData, owners: npt.NDArray[np.int64], ignored: npt.NDArray[np.int64], items: int, first: int
) -> None:
    """Checks that every row has an item to rank besides its held-out one, which would always come first."""
    kept = ~np.isin(part.seen_ids, ignored)
    rows, ids = np.divmod(np.unique(owners[kept] * items + part.seen_ids[kept]), items)
    left_out = np.bincount(rows, minlength=len(part)) + len(np.unique(ignored))
    left_out -= np.bincount(rows[ids == part.positives[rows]], minlength=len(part))
    alone = np.flatnonzero(left_out >= items - 1)
    if len(alone):
        raise DataError(
            f"evaluation data: row {first + alone[0]} has no item to rank besides its held-out one: "
            f"seen_ids and ignored_ids leave out all others of {items}; leave fewer out"
        )
