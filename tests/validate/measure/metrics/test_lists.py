"""Metrics of lists are SciPy's, or those of the definition written out list by list."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketrec.validate.measure.metrics.churn import first_changed, list_changed, list_churn
from pocketrec.validate.measure.metrics.coverage import catalogue_coverage
from pocketrec.validate.measure.metrics.diversity import intra_list_diversity
from pocketrec.validate.measure.metrics.fell import fell
from pocketrec.validate.measure.metrics.kendall_tau import kendall_tau, list_tau
from pocketrec.validate.measure.metrics.novelty import novelty
from pocketrec.validate.measure.metrics.popularity import list_popularity, popularity_shift
from pocketrec.validate.measure.metrics.rank_biased_overlap import rank_biased_overlap
from pocketrec.validate.measure.metrics.top_k_overlap import top_k_overlap

WIDTH = 7
LIST = st.tuples(st.permutations(range(10)), st.integers(0, WIDTH)).map(lambda each: each[0][: each[1]])
PAIRS = st.lists(st.tuples(LIST, LIST), min_size=1, max_size=5)


def padded(rows: list[list[int]]) -> np.ndarray:
    return np.array([[*row, *[-1] * (WIDTH - len(row))] for row in rows], np.int64)


def naive_rbo(one: list[int], two: list[int], p: float) -> float:
    """Equation 32 with sets, prefix by prefix."""
    short, long = sorted((one, two), key=len)
    if not long:
        return 1.0
    s, l = len(short), len(long)  # noqa: E741  as in the paper
    x = [len(set(short[:d]) & set(long[:d])) for d in range(l + 1)]
    total = sum(x[d] / d * p**d for d in range(1, l + 1))
    total += sum(x[s] * (d - s) / (s * d) * p**d for d in range(s + 1, l + 1)) if s else 0.0
    return (1 - p) / p * total + ((x[l] - x[s]) / l + (x[s] / s if s else 0.0)) * p**l


@settings(max_examples=80, deadline=None)
@given(pairs=PAIRS, p=st.sampled_from([0.5, 0.9, 0.98]))
def test_overlap_churn_and_rank_biased_overlap_are_their_definitions(
    pairs: list[tuple[list[int], list[int]]], p: float
) -> None:
    left, right = padded([one for one, _ in pairs]), padded([two for _, two in pairs])
    shares = [len(set(one) & set(two)) / max(len(one), len(two)) if one or two else 1.0 for one, two in pairs]
    np.testing.assert_allclose(top_k_overlap(left, right), shares, rtol=0, atol=1e-9)
    np.testing.assert_allclose(list_churn(left, right), 1 - np.array(shares), rtol=0, atol=1e-9)
    expected = [naive_rbo(one, two, p) for one, two in pairs]
    np.testing.assert_allclose(rank_biased_overlap(left, right, p=p), expected, rtol=0, atol=1e-9)
    assert list_changed(left, right).tolist() == [float(one != two) for one, two in pairs]
    firsts = [(one[:1], two[:1]) for one, two in pairs]
    assert first_changed(left, right).tolist() == [float(one != two) for one, two in firsts]


def test_rank_biased_overlap_of_equal_lists_is_one_and_the_top_weighs_most() -> None:
    row = padded([[1, 2, 3, 4, 5]])
    assert rank_biased_overlap(row, row)[0] == pytest.approx(1, abs=1e-12)
    top, end = padded([[9, 2, 3, 4, 5]]), padded([[1, 2, 3, 4, 9]])
    assert rank_biased_overlap(row, top)[0] < rank_biased_overlap(row, end)[0] < 1
    assert rank_biased_overlap(row, padded([[]]))[0] == 0


def test_an_id_that_is_listed_twice_counts_once() -> None:
    assert top_k_overlap(np.array([[1, 1, 2]]), np.array([[1, 2, 3]])).tolist() == [2 / 3]


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=20))
def test_kendalls_tau_is_scipys_with_ties(rows: list[tuple[int, int]]) -> None:
    left, right = (np.array([each], np.float64) for each in zip(*rows, strict=True))
    expected = scipy.stats.kendalltau(left[0], right[0], variant="b").statistic
    np.testing.assert_allclose(kendall_tau(left, right), [expected], rtol=0, atol=1e-9)


def test_coverage_diversity_novelty_and_popularity_are_their_definitions() -> None:
    rng = np.random.default_rng(6)
    lists = np.stack([rng.permutation(20)[:5] for _ in range(8)])
    lists[0, 3:], lists[1, 1:], lists[2] = -1, -1, -1
    vectors, counts, users = rng.normal(size=(20, 3)), rng.integers(0, 50, 20), 60
    vectors[4] = 0
    assert catalogue_coverage(lists, 20) == len(set(lists[lists >= 0].tolist())) / 20
    apart: list[float] = []
    surprise: list[float] = []
    popular: list[float] = []
    for row in lists:
        ids = row[row >= 0]
        pairs = [(vectors[i], vectors[j]) for i in ids for j in ids if i != j]
        cosines = [a @ b / (np.linalg.norm(a) * np.linalg.norm(b) or 1) for a, b in pairs]
        apart.append(1 - float(np.mean(cosines)) if cosines else math.nan)
        surprise.append(
            float(np.mean([-math.log2(max(counts[i], 1) / users) for i in ids])) if len(ids) else math.nan
        )
        popular.append(float(np.mean([counts[i] / users for i in ids])) if len(ids) else math.nan)
    np.testing.assert_allclose(intra_list_diversity(lists, vectors), apart, rtol=0, atol=1e-9)
    np.testing.assert_allclose(novelty(lists, counts, users), surprise, rtol=0, atol=1e-9)
    np.testing.assert_allclose(list_popularity(lists, counts, users), popular, rtol=0, atol=1e-9)


def test_popularity_shifts_by_the_change_of_its_mean() -> None:
    assert popularity_shift(np.array([0.2, 0.4]), np.array([0.4, 0.8])) == pytest.approx(1)
    assert popularity_shift(np.zeros(2), np.ones(2)) is None


def test_who_fell_is_seen_though_the_mean_rose() -> None:
    before, after = np.array([0.5, 0.5, 0.0, math.nan]), np.array([0.4, 0.5, 1.0, 1.0])
    np.testing.assert_array_equal(fell(before, after), [1, 0, 0, math.nan])
    np.testing.assert_array_equal(fell(before, after, lower_is_better=True), [0, 0, 1, math.nan])
    assert fell(before, after, tolerance=0.2)[0] == 0


@settings(max_examples=60, deadline=None)
@given(pairs=PAIRS)
def test_the_order_of_a_list_is_compared_by_the_places_of_its_items(
    pairs: list[tuple[list[int], list[int]]],
) -> None:
    found = list_tau(padded([one for one, _ in pairs]), padded([two for _, two in pairs]))
    for (one, two), tau in zip(pairs, found, strict=True):
        # Places that hold nothing are tied in both rows, as they are here.
        own = [*range(len(one)), *[WIDTH] * (WIDTH - len(one))]
        other = [two.index(item) if item in two else WIDTH for item in one] + [WIDTH] * (WIDTH - len(one))
        expected = scipy.stats.kendalltau(own, other).statistic
        np.testing.assert_allclose(tau, expected, rtol=0, atol=1e-9)


def test_a_list_in_reverse_has_tau_minus_one_and_one_item_has_none() -> None:
    assert list_tau(np.array([[1, 2, 3]]), np.array([[3, 2, 1]])).tolist() == [-1]
    assert list_tau(np.array([[1, 2, 3]]), np.array([[1, 2, 3]])).tolist() == [1]
    assert np.isnan(list_tau(np.array([[1]]), np.array([[1]])))
