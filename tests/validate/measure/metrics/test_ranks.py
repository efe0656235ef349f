"""Metrics of rankings are those of scikit-learn, or of the definition written out; ties go by id."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score

from pocketrec.errors import DataError
from pocketrec.validate.measure.metrics.average_precision import average_precision
from pocketrec.validate.measure.metrics.hit_rate import hit_rate
from pocketrec.validate.measure.metrics.mrr import mrr
from pocketrec.validate.measure.metrics.ndcg import ndcg
from pocketrec.validate.measure.metrics.ranks import Ranks, places_of
from pocketrec.validate.measure.metrics.recall import recall

ITEMS = 12
RELEVANT = st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=6, unique=True)
USERS = st.lists(
    st.tuples(st.permutations(range(ITEMS)), st.integers(0, ITEMS), RELEVANT), min_size=1, max_size=5
)


def naive(row: list[int], wanted: set[int], k: int) -> dict[str, float]:
    """The metrics of one list by their definitions, item by item."""
    top, hits, precisions, gain = row[:k], 0, 0.0, 0.0
    for place, item in enumerate(top):
        if item in wanted:
            hits += 1
            precisions += hits / (place + 1)
            gain += 1 / math.log2(place + 2)
    best = sum(1 / math.log2(place + 2) for place in range(min(k, len(wanted))))
    first = next((place for place, item in enumerate(top) if item in wanted), None)
    return {
        "hr": float(hits > 0),
        "ndcg": gain / best,
        "mrr": 0.0 if first is None else 1 / (first + 1),
        "recall": hits / len(wanted),
        "map": precisions / min(k, len(wanted)),
    }


METRICS = {"hr": hit_rate, "ndcg": ndcg, "mrr": mrr, "recall": recall, "map": average_precision}


@settings(max_examples=60, deadline=None)
@given(users=USERS, k=st.integers(1, ITEMS + 2))
def test_every_metric_is_its_definition(users: list[tuple[list[int], int, list[int]]], k: int) -> None:
    lists = [row[:length] for row, length, _ in users]
    wanted = [each for _, _, each in users]
    ranks = Ranks.of_lists(lists, wanted)
    for name, metric in METRICS.items():
        expected = [naive(row, set(each), k)[name] for row, each in zip(lists, wanted, strict=True)]
        np.testing.assert_allclose(metric(ranks, k), expected, rtol=0, atol=1e-9, err_msg=name)


def test_ndcg_and_average_precision_are_scikit_learns() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(50, 30))
    labels = (rng.random((50, 30)) < 0.2).astype(float)
    labels[:, 0] = 1
    lists = np.argsort(-scores, axis=1).tolist()
    ranks = Ranks.of_lists(lists, [np.flatnonzero(row).tolist() for row in labels])
    for k in (1, 5, 30):
        assert ndcg(ranks, k).mean() == pytest.approx(ndcg_score(labels, scores, k=k), abs=1e-9)
    expected = label_ranking_average_precision_score(labels, scores)
    assert average_precision(ranks, 30).mean() == pytest.approx(expected, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.lists(st.sampled_from([-math.inf, 0.0, 1.0, 2.0]), min_size=6, max_size=6), min_size=1),
    item=st.integers(0, 5),
)
def test_the_place_of_an_item_is_that_of_a_stable_sort(rows: list[list[float]], item: int) -> None:
    scores = np.array(rows, np.float32)
    found = places_of(scores, np.full(len(rows), item))
    for row, place in zip(rows, found, strict=True):
        order = sorted(range(6), key=lambda each: (-row[each], each))
        assert place == (math.inf if row[item] == -math.inf else order.index(item))


def test_one_relevant_item_makes_recall_the_hit_rate_and_precision_the_reciprocal_rank() -> None:
    ranks = Ranks.of_one(np.array([0.0, 3.0, 9.0, 10.0, math.inf]))
    np.testing.assert_array_equal(recall(ranks, 10), hit_rate(ranks, 10))
    np.testing.assert_array_equal(average_precision(ranks, 10), mrr(ranks, 10))
    assert hit_rate(ranks, 10).tolist() == [1, 1, 1, 0, 0]
    np.testing.assert_allclose(ndcg(ranks, 10)[:2], [1, 1 / math.log2(5)])


@pytest.mark.parametrize("name", METRICS)
def test_a_user_who_could_not_be_ranked_is_nan_and_no_other(name: str) -> None:
    scores = np.array([[math.nan, 1.0, 0.0], [0.0, 1.0, 2.0]], np.float32)
    found = METRICS[name](Ranks.of_one(places_of(scores, np.array([0, 2]))), 2)
    assert math.isnan(found[0])
    assert found[1] == 1


@pytest.mark.parametrize(
    ("lists", "relevant", "words"),
    [([[1]], [[1], [2]], "1 lists for 2 users"), ([[1], [2]], [[1], []], "user 1 has no relevant item")],
)
def test_lists_that_cannot_be_judged_are_an_error(lists: Any, relevant: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        Ranks.of_lists(lists, relevant)
