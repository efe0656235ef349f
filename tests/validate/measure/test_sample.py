"""Quality on a slow runtime: all rows in time, else a spread sample on which both are asked."""

from __future__ import annotations

from itertools import chain, count

import numpy as np
import pytest

from pocketrec.evaluation import ClassificationData, EvaluationData
from pocketrec.validate.measure import sample
from pocketrec.validate.measure.ranking import QualityRun
from pocketrec.validate.measure.sample import quality_within, spread


def rows_of(data: EvaluationData, size: int, start: int = 0, stop: int | None = None) -> list[int]:
    return list(chain(*(part.inputs["row"].tolist() for part in data.parts(size, start, stop))))


@pytest.fixture
def numbered() -> ClassificationData:
    return ClassificationData(
        inputs={"row": np.arange(1000)}, labels=(np.arange(1000) >= 500).astype(np.float32)
    )


def test_a_sample_is_spread_over_all_rows_and_cut_like_them(numbered: ClassificationData) -> None:
    chosen = spread(numbered, 16)
    rows = [0, 1, 125, 126, 250, 251, 375, 376, 500, 501, 625, 626, 750, 751, 875, 876]
    assert len(chosen) == 16
    assert rows_of(chosen, 100) == rows_of(chosen, 1) == rows
    assert rows_of(chosen, 3, 3, 8) == rows[3:8]
    assert len(spread(numbered, 3)) == 3


def test_no_more_rows_than_there_are(numbered: ClassificationData) -> None:
    assert spread(numbered, 1000) is numbered


def asked(
    monkeypatch: pytest.MonkeyPatch, data: EvaluationData, seconds: float
) -> tuple[list[int], list[int], tuple[QualityRun, QualityRun]]:
    """How many rows artifact and reference were asked for, on a clock that gains a second a look."""
    monkeypatch.setattr(sample, "perf_counter", count().__next__)
    sizes: tuple[list[int], list[int]] = ([], [])

    def run(which: int, rows: EvaluationData) -> QualityRun:
        sizes[which].append(len(rows))
        return QualityRun(metrics={}, top_k=None, examples=len(rows))

    known = QualityRun(metrics={}, top_k=None, examples=len(data))
    found = quality_within(lambda rows: run(0, rows), lambda rows: run(1, rows), known, data, seconds=seconds)
    return *sizes, found


def test_all_rows_are_examined_where_there_is_time(
    numbered: ClassificationData, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact, reference, (before, after) = asked(monkeypatch, numbered, 60.0)
    assert (artifact, reference) == ([64, 1000], [])
    assert before.examples == after.examples == 1000
    assert before.rows is after.rows is None


def test_both_are_asked_for_the_same_sample_where_there_is_not(
    numbered: ClassificationData, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact, reference, (before, after) = asked(monkeypatch, numbered, 5.0)
    assert (artifact, reference) == ([64, 64, 320], [320])
    assert before.examples == after.examples == 320
    assert before.rows is not None
    assert after.rows is not None
    assert before.rows.tolist() == after.rows.tolist() == rows_of(spread(numbered, 320), 1000)


def test_a_very_slow_runtime_is_asked_for_the_trials_rows(
    numbered: ClassificationData, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked(monkeypatch, numbered, 0.01)[0] == [64, 64, 64]


def test_a_few_rows_are_examined_once(monkeypatch: pytest.MonkeyPatch) -> None:
    few = ClassificationData(inputs={"row": np.arange(9)}, labels=np.zeros(9, np.float32))
    assert asked(monkeypatch, few, 0.01)[:2] == ([9], [])
