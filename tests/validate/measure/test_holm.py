"""Claims made together are Holm's by p-values: the intervals say the same."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketrec.report import Interval
from pocketrec.validate.measure.holm import confidences, holm

NORMAL = NormalDist()


def intervals(z: float, claims: int) -> list[Interval]:
    """Of an estimate of `z` standard errors, at every confidence that is asked for."""
    levels = confidences(claims, 0.95)
    widths = [NORMAL.inv_cdf((1 + each) / 2) for each in levels]
    return [
        Interval(low=z - width, high=z + width, confidence=each)
        for each, width in zip(levels, widths, strict=True)
    ]


def by_p_values(scores: list[float]) -> list[bool]:
    """Holm's procedure as in textbooks: the smallest p against 0.05 / m, the next against 0.05 / (m - 1)."""
    p = [2 * (1 - NORMAL.cdf(abs(each))) for each in scores]
    found = [False] * len(p)
    for step, place in enumerate(np.argsort(p, kind="stable")):
        if p[place] > 0.05 / (len(p) - step):
            break
        found[place] = True
    return found


@settings(max_examples=200, deadline=None)
@given(scores=st.lists(st.floats(-5, 5).map(lambda each: round(each, 3)), min_size=1, max_size=8))
def test_intervals_that_exclude_zero_are_those_of_the_p_values(scores: list[float]) -> None:
    levels = [intervals(each, len(scores)) for each in scores]
    assert holm(levels, lambda _, each: not each.low <= 0 <= each.high) == by_p_values(scores)


def test_a_claim_that_holds_alone_need_not_hold_among_others() -> None:
    levels = [intervals(2.1, 2), intervals(0.0, 2)]
    assert holm(levels[:1], lambda _, each: each.low > 0) == [True]
    assert holm(levels, lambda _, each: each.low > 0) == [False, False]
    levels[1] = intervals(3.0, 2)
    assert holm(levels, lambda _, each: each.low > 0) == [True, True]


def test_a_claim_without_intervals_is_never_made_and_counts_among_the_others() -> None:
    assert holm([intervals(2.1, 2), []], lambda _, each: each.low > 0) == [False, False]
    assert holm([], lambda _, each: True) == []
