"""Whole lists of a few users, before and after: those of whom least was kept."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Contract, Feature
from pocketrec.evaluation import EvaluationData, RankingData
from pocketrec.recipe import Evaluate
from pocketrec.report import UserLists
from pocketrec.validate.measure.metrics.top_k_overlap import top_k_overlap
from pocketrec.validate.measure.ranking import QualityRun

_HISTORY = 5  # of a history, the latest


def user_lists(
    before: QualityRun,
    after: QualityRun,
    evaluate: Evaluate,
    contract: Contract,
    data: EvaluationData,
    *,
    users: int = 3,
    items: int = 10,
) -> tuple[UserLists, ...]:
    """Returns the lists of the users that kept least, the earlier user first of equal ones; none for labels.

    Args:
        before: what the reference reached.
        after: what is compared with it, on the same users.
        evaluate: what was listed.
        contract: of both.
        data: where the users' histories stand.
        users: how many.
        items: how long a list is cut, to the best.
    """
    if before.top_k is None or after.top_k is None:
        return ()
    one, two = before.top_k[:, :items], after.top_k[:, :items]
    shares = top_k_overlap(one, two)
    same_order = (one == two).all(axis=1)
    rows = np.lexsort((np.arange(len(shares)), same_order, shares))[:users]
    vocabulary, sequence = _listed(evaluate, contract), _history(evaluate, contract)
    found = []
    for row in rows.tolist():
        place = row if before.rows is None else int(before.rows[row])
        found.append(
            UserLists(
                row=place,
                overlap=float(shares[row]),
                vocabulary=vocabulary,
                before=_ids(one[row]),
                after=_ids(two[row]),
                history_vocabulary="" if sequence is None else str(sequence.vocabulary),
                history=() if sequence is None else _latest(data, place, sequence, contract),
            )
        )
    return tuple(found)


def _listed(evaluate: Evaluate, contract: Contract) -> str:
    """The vocabulary of what is listed: the output's, else that of the first id on the item side."""
    out = contract.functions[evaluate.function].output(evaluate.output)
    if out.vocabulary is not None or evaluate.catalogue_function is None:
        return out.vocabulary or ""
    inputs = contract.functions[evaluate.catalogue_function].inputs
    return next((each.vocabulary for each in inputs if each.vocabulary is not None), "")


def _history(evaluate: Evaluate, contract: Contract) -> Feature | None:
    """The first sequence of items that the function takes."""
    inputs = contract.functions[evaluate.function].inputs
    return next((each for each in inputs if each.kind == "id_sequence" and each.vocabulary), None)


def _latest(data: EvaluationData, row: int, sequence: Feature, contract: Contract) -> tuple[int, ...]:
    part = next(iter(data.parts(1, row, row + 1)))
    assert isinstance(part, RankingData)
    aside = contract.vocabularies[str(sequence.vocabulary)].aside
    ids = np.asarray(part.inputs[sequence.name][0]).reshape(-1).tolist()
    return tuple([int(each) for each in ids if int(each) not in aside][-_HISTORY:])


def _ids(row: npt.NDArray[np.integer]) -> tuple[int, ...]:
    return tuple(each for each in row.tolist() if each >= 0)
