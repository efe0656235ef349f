"""What became of users' lists: how much of them is new, and what they are beside the catalogue."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.report import ListChange
from pocketrec.validate.measure.metrics.churn import first_changed, list_changed, list_churn
from pocketrec.validate.measure.metrics.coverage import catalogue_coverage
from pocketrec.validate.measure.metrics.diversity import intra_list_diversity
from pocketrec.validate.measure.metrics.kendall_tau import list_tau
from pocketrec.validate.measure.metrics.novelty import novelty
from pocketrec.validate.measure.metrics.popularity import list_popularity, popularity_shift
from pocketrec.validate.measure.metrics.rank_biased_overlap import rank_biased_overlap
from pocketrec.validate.measure.metrics.ranks import Doubles, Lists
from pocketrec.validate.measure.metrics.top_k_overlap import top_k_overlap
from pocketrec.validate.measure.ranking import QualityRun
from pocketrec.validate.measure.rows import CATALOGUE_ROW, most_columns
from pocketrec.validate.measure.slices import Facts


def list_changes(reference: QualityRun, artifact: QualityRun, facts: Facts) -> tuple[ListChange, ...]:
    """What became of the lists, one for each length; none where there are no lists."""
    if reference.top_k is None or artifact.top_k is None:
        return ()
    vectors = _vectors(reference)
    pairs = [(k, reference.top_k[:, :k], artifact.top_k[:, :k]) for k in reference.ks]
    return tuple(_change(k, before, after, facts, vectors) for k, before, after in pairs)


def _change(
    k: int, before: Lists, after: Lists, facts: Facts, vectors: npt.NDArray[Any] | None
) -> ListChange:
    order = list_tau(before, after)
    ranked = order[~np.isnan(order)]
    return ListChange(
        k=k,
        kendall_tau=float(ranked.mean()) if len(ranked) else None,
        overlap=float(top_k_overlap(before, after).mean()),
        rank_biased_overlap=float(rank_biased_overlap(before, after).mean()),
        churn=float(list_churn(before, after).mean()),
        changed=float(list_changed(before, after).mean()),
        first_changed=float(first_changed(before, after).mean()),
        **_beside_catalogue(before, after, facts, vectors),
    )


def _beside_catalogue(
    before: Lists, after: Lists, facts: Facts, vectors: npt.NDArray[Any] | None
) -> dict[str, Any]:
    """What lists are beside the catalogue, as far as is known of it."""
    found: dict[str, Any] = {}
    if facts.items is not None:
        found["coverage"] = tuple(catalogue_coverage(each, facts.items) for each in (before, after))
    if facts.counts is not None:
        most = max(int(before.max(initial=0)), int(after.max(initial=0))) + 1
        counts = np.pad(facts.counts, (0, max(0, most - len(facts.counts))))
        found["novelty"] = _means(*(novelty(each, counts, facts.users) for each in (before, after)))
        popular = (list_popularity(each, counts, facts.users) for each in (before, after))
        found["popularity_shift"] = popularity_shift(*_of_both(*popular))
    if vectors is not None:
        found["diversity"] = _means(*(intra_list_diversity(each, vectors) for each in (before, after)))
    return found


def _means(before: Doubles, after: Doubles) -> tuple[float, float] | None:
    """The means over users who have a value both times; None where nobody has."""
    one, two = _of_both(before, after)
    return (float(one.mean()), float(two.mean())) if len(one) else None


def _of_both(before: Doubles, after: Doubles) -> tuple[Doubles, Doubles]:
    known = ~(np.isnan(before) | np.isnan(after))
    return before[known], after[known]


def _vectors(run: QualityRun) -> npt.NDArray[Any] | None:
    """The embedding of every item, where the run has made some and every column of them was kept."""
    kept = [each for rows in run.kept.values() if rows.what == CATALOGUE_ROW for each in rows.values.values()]
    whole = [each for each in kept if each.shape[1] < most_columns(len(each))]
    return whole[0] if whole else None
