"""Team draft and optimized interleaving: what may be shown, how often, and what a click counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import permutations, product

import numpy as np
import pytest

from pocketrec.errors import UsageError
from pocketrec.validate.experiments import interleave
from pocketrec.validate.experiments.interleave import (
    Mixture,
    mixes_of,
    optimized,
    sensitivities,
    team_draft,
)


def generator(*coins: float) -> np.random.Generator:
    """A generator whose coins fall as given."""
    fallen = iter(coins)

    class Coins(np.random.Generator):
        def random(self, *_: object, **__: object) -> float:  # type: ignore[override]
            return next(fallen)

    return Coins(np.random.PCG64(0))


def test_team_draft_by_hand() -> None:
    """The first list's captain begins, then the second's, who finds 2 taken."""
    shown = team_draft([1, 2, 3, 6], [2, 1, 4, 5], 4, generator(0.1, 0.9))
    assert shown.items == (1, 2, 4, 3)
    assert shown.counts == (1, -1, -1, 1)


def test_team_draft_ends_where_one_list_has_nothing_left() -> None:
    shown = team_draft([1, 2], [1, 2], 10, generator(0.9, 0.1))
    assert (shown.items, shown.counts) == ((1, 2), (-1, 1))


def test_team_draft_shows_each_of_its_lists_as_often_as_its_coins_say() -> None:
    """Two rounds of coins make four lists; 4 binomial deviations of 4,000 at a quarter are 110."""
    rng = np.random.default_rng(0)
    drawn = Counter(team_draft([1, 2, 5], [3, 4, 6], 4, rng).items for _ in range(4000))
    assert set(drawn) == {(1, 3, 2, 4), (1, 3, 4, 2), (3, 1, 2, 4), (3, 1, 4, 2)}
    assert all(abs(count - 1000) < 110 for count in drawn.values())


def test_a_mix_takes_the_best_that_is_left_of_either_list() -> None:
    assert mixes_of([0, 1, 2], [1, 0, 2], 3) == ((0, 1, 2), (1, 0, 2))
    assert len(mixes_of([0, 1, 2], [3, 4, 5], 3)) == 8
    assert mixes_of([0, 1], [0, 1], 2) == ((0, 1),)


def patterns(k: int) -> Iterator[tuple[int, ...]]:
    """Every second list of k items beside 0, 1, ..., k - 1, new items named in their order."""
    for places in product([True, False], repeat=k):
        for kept in permutations(range(k), sum(places)):
            known, new = iter(kept), iter(range(k, 2 * k))
            yield tuple(next(known) if old else next(new) for old in places)


def unfairness(mixture: Mixture) -> float:
    """The largest mean credit of a click on one of the first d items, over all d."""
    sums = np.cumsum(np.array(mixture.counts), axis=1)
    return float(np.abs(np.array(mixture.chances) @ sums).max())


@pytest.mark.parametrize("credit", ["inverse", "linear"])
def test_no_depth_of_random_clicks_tilts_any_mixture_of_three(credit: interleave.Credit) -> None:
    for second in patterns(3):
        mixture = optimized((0, 1, 2), second, 3, credit=credit)
        assert sum(mixture.chances) == pytest.approx(1), second
        assert unfairness(mixture) < 1e-9, second
        assert set(mixture.mixes) <= set(mixes_of((0, 1, 2), second, 3))


def test_an_unfair_mixture_is_told() -> None:
    fair = optimized((0, 1, 2), (2, 1, 0), 3)
    chances = (1.0, *[0.0] * (len(fair.chances) - 1))
    assert unfairness(Mixture(mixes=fair.mixes, chances=chances, counts=fair.counts)) > 0.1


def test_the_mixture_is_the_most_sensitive_of_all_fair_ones() -> None:
    """Of lists with two fair mixtures' worth of freedom, against a grid over the chances of all mixes."""
    first, second = (0, 1, 2), (1, 0, 3)
    mixes = mixes_of(first, second, 3)
    worth = {0: 1 - 1 / 2, 1: 1 / 2 - 1, 2: 1 / 3 - 1 / 4, 3: 1 / 4 - 1 / 3}
    counts = np.array([[worth[item] for item in mix] for mix in mixes])
    told = sensitivities(counts)
    grid = [each for each in product(np.arange(21), repeat=len(mixes)) if sum(each) == 20]
    fair = [
        float(np.array(each) / 20 @ told)
        for each in grid
        if np.abs(np.array(each) / 20 @ np.cumsum(counts, axis=1)).max() < 1e-9
    ]
    found = optimized(first, second, 3, credit="inverse")
    value = float(np.array(found.chances) @ sensitivities(np.array(found.counts)))
    assert len(fair) > 1
    assert value == pytest.approx(max(fair))
    assert value > min(fair)


def test_sensitivity_by_hand() -> None:
    """Two places are clicked with 2/3 and 1/3: one winner each, a tie and a winner, the same winner twice."""
    found = sensitivities(np.array([[1.0, -1], [1, 0], [2, 1]]))
    entropy = -(2 / 3 * np.log2(2 / 3) + 1 / 3 * np.log2(1 / 3))
    assert found == pytest.approx([entropy, 0, 0])


def test_credits_follow_the_ranks_and_items_keep_their_names() -> None:
    mixture = optimized([70, 5], [5, 9], 2, credit="linear")
    credits_ = {
        item: worth
        for mix, each in zip(mixture.mixes, mixture.counts, strict=True)
        for item, worth in zip(mix, each, strict=True)
    }
    assert {item: credits_[item] for item in (70, 5)} == {70: 2, 5: -1}
    assert credits_.get(9, -1) == -1


def test_equal_lists_credit_nobody_when_optimized() -> None:
    mixture = optimized([4, 2, 9], [4, 2, 9], 3)
    assert (mixture.mixes, mixture.counts) == (((4, 2, 9),), ((0, 0, 0),))


def test_lists_are_drawn_by_their_chances() -> None:
    mixture = Mixture(mixes=((1,), (2,)), chances=(0.25, 0.75), counts=((1.0,), (-1.0,)))
    rng = np.random.default_rng(0)
    drawn = Counter(mixture.draw(rng).items for _ in range(4000))
    assert abs(drawn[(1,)] - 1000) < 110


@pytest.mark.parametrize(
    ("first", "second", "k", "message"),
    [
        ([1, 1], [1, 2], 2, "the first list has item 1 twice; expected each item once"),
        ([1, 2], [3, 4, 3], 2, "the second list has item 3 twice"),
        ([1, 2], [3, 4], 0, "k is 0; expected 1 or more"),
    ],
)
def test_what_cannot_be_mixed_is_told(first: list[int], second: list[int], k: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        team_draft(first, second, k, np.random.default_rng(0))
    with pytest.raises(UsageError, match=message):
        optimized(first, second, k)


def test_lists_that_are_too_short_or_too_long_are_told() -> None:
    with pytest.raises(UsageError, match="lists of 2 and 3 items; expected 3 or more of each"):
        optimized([1, 2], [1, 2, 3], 3)
    with pytest.raises(UsageError, match=r"k is 13; expected 12 at most: there are up to 2\^k mixes"):
        optimized(range(13), range(13), 13)


def test_lists_without_a_fair_mixture_are_told() -> None:
    """Two of the three items stand higher in the second list, so three clicks are for it in every mix."""
    message = r"no mixture of lists like \(0, 1, 2\) and \(1, 2, 0\) is fair by binary credit; use team draft"
    with pytest.raises(UsageError, match=message):
        optimized([5, 6, 7], [6, 7, 5], 3, credit="binary")
