"""The contract against its world: evaluation data and tokens that say something else than it does.

data ─▶ parts ─▶ ids, padding, held-out items, catalogue ─▶ the row that contradicts, or notes

What is wrong beyond doubt is an error that names row and key; what could not be checked is a note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Contract, Feature
from pocketrec.errors import DataError
from pocketrec.evaluation import Arrays, ClassificationData, EvaluationData, RankingData
from pocketrec.recipe import Evaluate
from pocketrec.recipe.measures import FEWEST
from pocketrec.source.padding import PaddingSeen
from pocketrec.source.ranked import Ranked

Ids = npt.NDArray[Any]

_ROWS = 4096  # of a part


def check_data(data: EvaluationData, contract: Contract, evaluate: Evaluate) -> tuple[str, ...]:
    """Checks the evaluation data against the contract, and gives what could not be checked.

    Raises:
        DataError: an id, a held-out item, a label or the padding contradicts the contract; names the
            row, what came, and the key that says otherwise.
    """
    features = contract.functions[evaluate.function].inputs
    padding = {
        each.name: PaddingSeen(contract=contract, feature=each) for each in features if _is_padded(each)
    }
    ranked = Ranked(contract=contract, evaluate=evaluate)
    sample = data.sample()
    catalogue = ranked.check_catalogue(sample) if isinstance(sample, RankingData) else ()
    labels: set[float] = set()
    distinct: set[bytes] = set()
    first = 0
    for part in data.parts(_ROWS):
        for each in features:
            _check_shape(np.asarray(part.inputs[each.name]), each, contract)
            _check_ids(np.asarray(part.inputs[each.name]), each, contract, first)
        for name, known in padding.items():
            known.add(np.asarray(part.inputs[name]), first)
        if isinstance(part, ClassificationData):
            labels |= set(np.unique(part.labels).tolist())
        else:
            ranked.check(part, first)
        _count_distinct(part, distinct)
        first += len(part)
    _check_distinct(len(distinct), first)
    if labels and len(labels) < 2:
        raise DataError(f"evaluation data: every label is {labels.pop():g}; AUC needs both 0 and 1")
    notes = (note for each in padding.values() for note in each.verdict())
    return (*notes, *ranked.notes(sample), *catalogue)


def _count_distinct(part: RankingData | ClassificationData, found: set[bytes]) -> None:
    """Adds what tells rows apart, until there are as many as an interval needs."""
    answers = part.labels if isinstance(part, ClassificationData) else part.positives
    arrays = [np.asarray(answers), *(np.asarray(each) for each in part.inputs.values())]
    for row in range(len(part)):
        if len(found) >= FEWEST:
            return
        found.add(b"|".join(each[row].tobytes() for each in arrays))


def _check_distinct(distinct: int, rows: int) -> None:
    """Checks that rows that are enough for an interval are not the same few again and again."""
    if distinct < FEWEST <= rows:
        raise DataError(
            f"evaluation data: {rows} rows, of which {distinct} differ; the same rows again are no more "
            f"evidence, expected {FEWEST} different ones or more"
        )


def _is_padded(feature: Feature) -> bool:
    return feature.is_id and feature.padding_side is not None and len(feature.shape) > 1


def _check_shape(values: Ids, feature: Feature, contract: Contract) -> None:
    """Checks that a row has the axes and the sizes that the contract gives it."""
    bounds = [contract.bounds(size) for size in feature.shape[1:]]
    sizes = values.shape[1:]
    if len(sizes) == len(bounds) and all(
        low <= size <= high for size, (low, high) in zip(sizes, bounds, strict=True)
    ):
        return
    expected = ", ".join(f"{low}" if low == high else f"{low} to {high}" for low, high in bounds)
    raise DataError(
        f"evaluation data: input {feature.name} has rows of shape {list(sizes)}; expected [{expected}], as "
        f"shape = {list(feature.shape)} in the contract says; correct either"
    )


def _check_ids(values: Ids, feature: Feature, contract: Contract, first: int) -> None:
    """Checks that ids for which the graph has no guard are in their vocabulary."""
    if feature.vocabulary is None or contract.guard_id(feature) is not None:
        return
    size = contract.vocabularies[feature.vocabulary].size
    wrong = np.argwhere((values < 0) | (values >= size))
    if len(wrong):
        row = int(wrong[0][0])
        raise DataError(
            f"evaluation data: input {feature.name}, row {first + row}: id {values[tuple(wrong[0])]} is not "
            f"among the {size} of vocabulary {feature.vocabulary!r}; correct the data, the tokens, or "
            "out_of_vocabulary, which is 'forbid'"
        )


def conformed(
    data: RankingData | ClassificationData, contract: Contract, evaluate: Evaluate
) -> RankingData | ClassificationData:
    """The data in the contract's dtypes; DataError names the row of a number that they cannot hold."""
    functions = contract.functions
    inputs = _in_dtypes(data.inputs, functions[evaluate.function].inputs)
    if not isinstance(data, RankingData) or evaluate.catalogue_function is None:
        return replace(data, inputs=inputs)
    catalogue = _in_dtypes(data.catalogue, functions[evaluate.catalogue_function].inputs)
    return replace(data, inputs=inputs, catalogue=catalogue)


def _in_dtypes(given: Arrays, features: Sequence[Feature]) -> Arrays:
    known = {each.name: each for each in features}
    return {name: _as_dtype(each, known.get(name)) for name, each in given.items()}


def _as_dtype(values: Ids, feature: Feature | None) -> Ids:
    if feature is None or str(values.dtype) == feature.dtype:
        return values
    wanted = np.dtype(feature.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        made = values.astype(wanted)
        same = made == values if wanted.kind in "ib" else np.isfinite(made) | ~np.isfinite(values)
    wrong = np.argwhere(~same)
    if len(wrong):
        place = tuple(wrong[0])
        raise DataError(
            f"evaluation data: input {feature.name}, row {place[0] if place else 0} holds {values[place]}, "
            f"which {feature.dtype} cannot hold; correct the data, or dtype in the contract"
        )
    return made
