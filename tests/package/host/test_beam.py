"""Beam search finds the most probable items of the catalogue; the trie forbids the rest."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from pocketrec.errors import DataError, ExecutionError, InputError
from pocketrec.package.host.beam import PrefixTrie, Step, Tokens, beam_search
from pocketrec.package.host.features import Array

ITEMS = [(1, 4, 6), (1, 4, 7), (1, 5, 6), (2, 5, 8)]


def fixed(logits: Array) -> Step:
    """The same logits for every prefix."""
    return lambda prefixes: np.repeat(logits[None], len(prefixes), axis=0)


def by_hash(prefixes: Tokens) -> Array:
    """Logits that depend on every token of the prefix, of 9 tokens."""
    return np.stack([np.random.default_rng(each.tolist()).normal(size=9) for each in prefixes])


def test_a_prefix_allows_only_what_some_item_continues_with() -> None:
    trie = PrefixTrie(ITEMS)
    assert trie.allowed(()).tolist() == [1, 2]
    assert trie.allowed((1, 4)).tolist() == [6, 7]
    assert trie.allowed((2, 4)).tolist() == trie.allowed(ITEMS[0]).tolist() == []
    assert trie.item((1, 5, 6)) == 2


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "no item"),
        ([(1, 2), (1,)], "item 1 has 1 tokens; item 0 has 2"),
        ([(1, -2)], "token -2"),
        ([(1, 2), (3, 4), (1, 2)], r"items 0 and 2 have the same tokens \[1, 2\]"),
    ],
)
def test_a_catalogue_that_cannot_be_told_apart_is_refused(items: list[tuple[int, ...]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        PrefixTrie(items)


def test_tokens_of_no_item_have_no_place() -> None:
    with pytest.raises(DataError, match=r"\[2, 5, 6\]"):
        PrefixTrie(ITEMS).item((2, 5, 6))


def test_a_wide_search_ranks_the_whole_catalogue_by_probability() -> None:
    items = list(product((1, 2), (3, 4, 5), (6, 7, 8)))
    found = beam_search(by_hash, PrefixTrie(items), beam_width=len(items))
    expected = []
    for item in items:
        total = 0.0
        for depth, token in enumerate(item):
            row = np.exp(by_hash(np.array([(0, *item[:depth])], np.int32))[0])
            total += float(np.log(row[token] / row.sum()))
        expected.append(total)
    assert found.items.tolist() == np.argsort(expected)[::-1].tolist()
    np.testing.assert_allclose(found.scores, np.sort(expected)[::-1], rtol=1e-6)


def test_a_likely_token_that_no_item_continues_with_is_never_taken() -> None:
    logits = np.zeros(9)
    logits[3] = 100.0
    found = beam_search(fixed(logits), PrefixTrie(ITEMS), beam_width=9)
    assert sorted(found.items.tolist()) == [0, 1, 2, 3]


def test_equal_scores_keep_the_order_of_tokens_and_a_narrow_beam_cuts() -> None:
    assert beam_search(fixed(np.zeros(9)), PrefixTrie(ITEMS), beam_width=3).items.tolist() == [0, 1, 2]
    assert beam_search(fixed(np.zeros(9)), PrefixTrie(ITEMS), beam_width=1).items.tolist() == [0]


def test_a_beam_of_no_width_is_refused() -> None:
    with pytest.raises(InputError, match="beam_width is 0"):
        beam_search(fixed(np.zeros(9)), PrefixTrie(ITEMS), beam_width=0)


@pytest.mark.parametrize(
    ("logits", "message"),
    [(np.zeros(8), r"shape \(1, 8\); expected 1 beams by more than 8"), (np.full(9, np.nan), "NaN")],
)
def test_a_step_that_gives_no_logits_for_the_catalogue_is_caught(logits: Array, message: str) -> None:
    with pytest.raises(ExecutionError, match=message):
        beam_search(fixed(logits), PrefixTrie(ITEMS))


def test_sums_that_differ_by_the_last_bit_are_equal_and_the_earlier_beam_wins() -> None:
    """The same three tokens in any order have one probability, whatever order they are added in."""
    items = sorted({(a, b, c) for a, b, c in product((1, 2, 3), repeat=3) if {a, b, c} == {1, 2, 3}})
    for seed in range(20):
        logits = np.random.default_rng(seed).normal(size=9)
        found = beam_search(fixed(logits), PrefixTrie(items), beam_width=6)
        earlier = sorted(
            items, key=lambda each: (-round(logits[each[0]] + logits[each[1]], 9), -logits[each[0]])
        )
        assert [items[each] for each in found.items] == earlier
        assert len(set(found.scores.tolist())) == 1
