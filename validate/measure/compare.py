"""Two runs over the same examples side by side: how far each metric moved, with intervals, slice by slice.

    values per example of both ─▶ differences ─▶ bootstrap ─▶ MetricChange

Differences are paired: an example's value before is taken from its own value after. AUC and GAUC, which are
no plain means, are given by values whose mean and spread are theirs; see their files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pocketrec.report import MetricChange, RankingParity, SliceChange
from pocketrec.validate.measure.bootstrap import CONFIDENCE, bootstrap
from pocketrec.validate.measure.calibrated import calibration_of
from pocketrec.validate.measure.holm import confidences
from pocketrec.validate.measure.listed import list_changes
from pocketrec.validate.measure.metrics.auc import placements, row_values
from pocketrec.validate.measure.metrics.calibration import adaptive_calibration_values, calibration_values
from pocketrec.validate.measure.metrics.fell import fell
from pocketrec.validate.measure.metrics.gauc import user_aucs
from pocketrec.validate.measure.metrics.log_loss import log_loss
from pocketrec.validate.measure.metrics.ranks import Doubles, Ids, Ranks
from pocketrec.validate.measure.metrics.top_k_overlap import top_k_overlap
from pocketrec.validate.measure.ranking import (
    OF_PLACES,
    Floats,
    QualityRun,
    classification_metrics,
    cut_of,
    lower_is_better,
    probabilities,
)
from pocketrec.validate.measure.slices import Division, Facts

CALIBRATION = {"ece": calibration_values, "adaptive_ece": adaptive_calibration_values}


def compare_quality(reference: QualityRun, artifact: QualityRun, facts: Facts | None = None) -> RankingParity:
    """Both runs side by side: changes with intervals, slices, lists and calibration.

    Where lists have several lengths, the overlap is that of the length at which they agree least.

    Args:
        reference: what the model reached.
        artifact: what is compared with it, on the same examples.
        facts: of these examples; without them there are no slices.
    """
    known = facts or Facts()
    return replace(
        beside(reference, artifact),
        changes=tuple(_changes(reference, artifact, (CONFIDENCE,))),
        slices=tuple(_slices(reference, artifact, known.divisions)),
        lists=list_changes(reference, artifact, known),
        calibration=calibration_of(reference, artifact),
    )


def beside(reference: QualityRun, artifact: QualityRun) -> RankingParity:
    """The metrics of both, and the overlap of their lists where there are lists."""
    overlap, worst, row = None, None, None
    if reference.top_k is not None and artifact.top_k is not None:
        at = [top_k_overlap(reference.top_k[:, :k], artifact.top_k[:, :k]) for k in reference.ks]
        shares = min(at, key=lambda each: float(each.mean()))
        row = int(np.argmin(shares))
        overlap, worst = float(shares.mean()), float(shares[row])
        if any(np.isnan(value) for value in artifact.metrics.values()):
            overlap = float("nan")
    return RankingParity(
        examples=reference.examples,
        reference=dict(reference.metrics),
        artifact=dict(artifact.metrics),
        top_k_overlap=overlap,
        worst_overlap=worst,
        worst_row=row,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paired:
    """A metric of both runs as values per example.

    Attributes:
        differences: of the values, whose mean is the change of the metric.
        before: the reference's values.
        after: the artifact's.
        resampled: what an example is.
    """

    differences: Doubles
    before: Doubles
    after: Doubles
    resampled: Literal["users", "rows"]


def _changes(
    reference: QualityRun, artifact: QualityRun, levels: tuple[float, ...]
) -> Iterator[MetricChange]:
    for name, before in reference.metrics.items():
        after = artifact.metrics.get(name, float("nan"))
        paired = _paired(name, reference, artifact)
        change = MetricChange(metric=name, before=before, after=after)
        if paired is None or not len(paired.differences) or not np.isfinite(paired.differences).all():
            yield change
            continue
        worse = fell(paired.before, paired.after, lower_is_better=lower_is_better(name))
        found = bootstrap(paired.differences, confidences=levels)
        yield replace(
            change,
            examples=found.examples,
            resampled=paired.resampled,
            differing=int((paired.before != paired.after).sum()),
            fell=int(worse.sum()),
            deviation=found.deviation,
            intervals=found.intervals,
            method=found.method,
        )


def error_of_change(name: str, reference: QualityRun, artifact: QualityRun) -> float | None:
    """The standard error of a metric's change, by the differences of the same examples.

    None for a metric that is no mean over examples, for one example, and where a value is NaN.
    """
    paired = _paired(name, reference, artifact)
    if paired is None or len(paired.differences) <= 1 or not np.isfinite(paired.differences).all():
        return None
    return float(paired.differences.std(ddof=1) / np.sqrt(len(paired.differences)))


def _paired(name: str, reference: QualityRun, artifact: QualityRun) -> _Paired | None:
    """None for a metric that is no mean over examples."""
    if reference.places is not None and artifact.places is not None:
        metric, k = cut_of(name)
        both = (reference.places, artifact.places)
        before, after = (OF_PLACES[metric](Ranks.of_one(each), k) for each in both)
        return _Paired(differences=after - before, before=before, after=after, resampled="users")
    assert reference.scores is not None
    assert reference.labels is not None
    assert artifact.scores is not None
    return _of_labels(name, reference, (reference.scores, artifact.scores), reference.labels)


def _of_labels(name: str, run: QualityRun, scores: tuple[Floats, Floats], labels: Floats) -> _Paired | None:
    if name == "log_loss":
        meaning: Literal["logit", "probability"] = "logit" if run.meaning == "logit" else "probability"
        before, after = (log_loss(each, labels, meaning=meaning) for each in scores)
        return _Paired(differences=after - before, before=before, after=after, resampled="rows")
    if name in CALIBRATION:
        chances = (probabilities(each, run.meaning) for each in scores)
        before, after = (CALIBRATION[name](each, labels) for each in chances)
        return _Paired(differences=after - before, before=before, after=after, resampled="rows")
    if name == "auc":
        before, after = (placements(each, labels) for each in scores)
        differences = row_values(after - before, labels)
        return _Paired(differences=differences, before=before, after=after, resampled="rows")
    if name == "gauc" and run.users is not None:
        one, two = (user_aucs(each, labels, run.users) for each in scores)
        differences = one.weighted(two.values - one.values)
        return _Paired(differences=differences, before=one.values, after=two.values, resampled="users")
    return None


def _slices(
    reference: QualityRun, artifact: QualityRun, divisions: tuple[Division, ...]
) -> Iterator[SliceChange]:
    """Every slice that has examples; as many intervals of each as there are slices that are large enough."""
    found = [
        (division, label, np.flatnonzero(division.places == place))
        for division in divisions
        for place, label in enumerate(division.labels)
    ]
    large = sum(len(rows) >= division.min_examples for division, _, rows in found)
    levels = confidences(max(1, large), CONFIDENCE)
    for division, label, rows in found:
        one, two = (_of_rows(each, rows) for each in (reference, artifact))
        yield SliceChange(
            division=division.name,
            label=label,
            examples=len(rows),
            large=len(rows) >= division.min_examples,
            changes=tuple(_changes(one, two, levels)) if len(rows) else (),
        )


def _of_rows(run: QualityRun, rows: Ids) -> QualityRun:
    """The run on some of its examples alone, its metrics computed anew."""

    def some(values: npt.NDArray[Any] | None) -> npt.NDArray[Any] | None:
        return None if values is None else values[rows]

    part = replace(
        run,
        examples=len(rows),
        metrics={},
        top_k=some(run.top_k),
        places=some(run.places),
        scores=some(run.scores),
        labels=some(run.labels),
        users=some(run.users),
        kept={},
    )
    return replace(part, metrics=_metrics(part, tuple(run.metrics))) if len(rows) else part


def _metrics(run: QualityRun, names: tuple[str, ...]) -> dict[str, float]:
    if run.places is not None:
        ranks, cuts = Ranks.of_one(run.places), {name: cut_of(name) for name in names}
        return {name: float(OF_PLACES[metric](ranks, k).mean()) for name, (metric, k) in cuts.items()}
    assert run.scores is not None
    assert run.labels is not None
    return classification_metrics(run.scores, run.labels, meaning=run.meaning, names=names, users=run.users)
