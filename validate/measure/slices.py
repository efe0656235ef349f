"""Divisions of the evaluation data into slices: who is cold, what is long-tail, and any column.

    data ─▶ one number or text per example ─▶ edges or values ─▶ which slice each example is in

How many items a user has had is the longer of the ids left out of the list and the history that the model
gets. Popularity is counted over all evaluated users: what they have had, and what was held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Contract, Feature
from pocketrec.errors import DataError
from pocketrec.evaluation import ClassificationData, EvaluationData, RankingData, column_of
from pocketrec.recipe import Evaluate
from pocketrec.recipe.measures import PLACED, Slice

Values = npt.NDArray[Any]
Ids = npt.NDArray[np.int64]
Part = RankingData | ClassificationData

_PART = 4096  # examples read at a time
_MOST_VALUES = 50  # slices of a column without edges
_NO_VALUE = "no value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """Which slice each example is in.

    Attributes:
        name: as in the recipe.
        labels: of the slices.
        places: of each example's slice among the labels, `[examples]`.
        min_examples: that a slice needs to be gated.
    """

    name: str
    labels: tuple[str, ...]
    places: Ids
    min_examples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of the examples beside what models give.

    Attributes:
        divisions: in the recipe's order.
        counts: how many users have had each item, the held-out one included; None for labels.
        users: how many users were counted.
        items: how many items can be listed; None where that is not known.
    """

    divisions: tuple[Division, ...] = ()
    counts: Ids | None = None
    users: int = 0
    items: int | None = None

    def take(self, rows: Ids) -> Facts:
        """The facts of some of the examples; popularity stays that among all."""
        divisions = tuple(replace(each, places=each.places[rows]) for each in self.divisions)
        return replace(self, divisions=divisions)


def facts_of(evaluate: Evaluate, contract: Contract, data: EvaluationData) -> Facts:
    """What is known of all examples, read part by part.

    Raises:
        DataError: a column is missing, or has too many values for a slice each.
    """
    wanted = {name: each.by for name, each in evaluate.slices.items()}
    history = _history(contract.functions[evaluate.function].inputs)
    found: dict[str, list[Values]] = {name: [] for name in wanted}
    positives: list[Ids] = []
    counts = np.zeros(0, np.int64)
    for part in data.parts(_PART):
        for name, by in wanted.items():
            found[name].append(_values(part, by, contract, history))
        if isinstance(part, RankingData):
            positives.append(part.positives)
            counts = _added(counts, np.concatenate([part.seen_ids, part.positives]))
    standing = _standing(counts)
    divisions = []
    for name, each in evaluate.slices.items():
        values = np.concatenate(found[name])
        if each.by == "popularity":
            values = standing[values]
        divisions.append(divide(name, each, values))
    ranked = evaluate.kind == "ranking"
    return Facts(
        divisions=tuple(divisions),
        counts=counts if ranked else None,
        users=len(data),
        items=_listable(evaluate, contract, data.sample()) if ranked else None,
    )


def divide(name: str, asked: Slice, values: Values) -> Division:
    """The slices of a column: between its edges, or one for each of its values.

    Raises:
        DataError: texts have edges, or there are more values than can be looked at.
    """
    if asked.cuts:
        if values.dtype.kind == "U":
            raise DataError(f"evaluate.slices.{name}: {asked.by!r} holds texts; leave edges out")
        numbers = values.astype(np.float64)
        lacking = np.isnan(numbers)
        labels = [*asked.labels, *([_NO_VALUE] if lacking.any() else [])]
        places = np.searchsorted(np.asarray(asked.cuts), numbers, side="right")
        places[lacking] = len(labels) - 1
    else:
        distinct, places = np.unique(values, return_inverse=True)
        if len(distinct) > _MOST_VALUES:
            raise DataError(
                f"evaluate.slices.{name}: {asked.by!r} has {len(distinct)} values, {_MOST_VALUES} at most; "
                "give edges, or another column"
            )
        labels = [_text(each) for each in distinct.tolist()]
    return Division(
        name=name, labels=tuple(labels), places=places.astype(np.int64), min_examples=asked.min_examples
    )


def _history(inputs: Sequence[Feature]) -> Feature | None:
    """The sequence that a user's past comes in."""
    sequences = (each for each in inputs if each.kind == "id_sequence")
    return next(sequences, None)


def _values(part: Part, by: str, contract: Contract, history: Feature | None) -> Values:
    if by not in PLACED:
        return column_of(part, by)
    assert isinstance(part, RankingData)  # the recipe refuses these for labels
    if by == "popularity":
        return part.positives
    lengths = np.diff(part.seen_offsets)
    if history is not None and history.name in part.inputs:
        given = part.inputs[history.name]
        filled = (
            given != contract.padding_value(history) if history.padding_side is not None else given == given
        )
        lengths = np.maximum(lengths, filled.reshape(len(part), -1).sum(axis=1))
    return lengths


def _added(counts: Ids, ids: Ids) -> Ids:
    """The counts with these ids, longer where need be; else in place, as a catalogue may be large."""
    lacking = int(ids.max(initial=-1)) + 1 - len(counts)
    if lacking > 0:
        counts = np.pad(counts, (0, lacking))
    known, times = np.unique(ids, return_counts=True)
    counts[known] += times
    return counts


def _standing(counts: Ids) -> npt.NDArray[np.float64]:
    """At which share of the items that anybody has had each stands, the most popular first; ties by id."""
    order = np.lexsort((np.arange(len(counts)), -counts))
    places = np.empty(len(counts), np.float64)
    places[order] = np.arange(len(counts))
    return places / max(1, int(np.count_nonzero(counts)))


def _listable(evaluate: Evaluate, contract: Contract, sample: Part) -> int | None:
    """How many items there are to be listed."""
    out = contract.functions[evaluate.function].output(evaluate.output)
    if out.vocabulary is not None:
        items = contract.vocabularies[out.vocabulary].size
    elif evaluate.catalogue_function is not None and isinstance(sample, RankingData) and sample.catalogue:
        items = len(next(iter(sample.catalogue.values())))
    elif out.meaning == "score" and isinstance(out.shape[-1], int):
        items = out.shape[-1]
    else:
        return None
    ignored = sample.ignored_ids if isinstance(sample, RankingData) else ()
    return items - sum(each < items for each in ignored)


def _text(value: object) -> str:
    if isinstance(value, float):
        return _NO_VALUE if value != value else f"{value:.12g}"
    return str(value) or _NO_VALUE
