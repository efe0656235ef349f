"""Lists for a re-ranker: by counts that have not seen what they are judged by, and without what was had."""

import numpy as np

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.training.lists import best, counted, markov_lists, relevant_lists

SEQUENCES = [np.array(each, dtype=np.int32) for each in ([1, 2, 3, 2, 4], [2, 3, 1], [4, 2, 5, 2, 1])]


def test_a_list_is_the_best_by_decayed_counts_of_what_was_not_had() -> None:
    counts = counted(SEQUENCES)
    assert counts[2].tolist() == [0, 1, 0, 2, 1, 1]
    often = counts.sum(axis=0)
    scores = 0.6 * counts[1] + counts[2] + 2**-6 * often / often.max()
    scores[[0, 1, 2]] = -1
    expected = np.argsort(-scores, kind="stable")[:3]
    found, of_found = best(counts, often, np.array([1, 2], dtype=np.int32), 3)
    assert found.tolist() == expected.tolist()
    np.testing.assert_allclose(of_found, scores[expected], rtol=1e-6)


def test_held_out_lists_hold_what_came_next_where_it_says_and_nothing_that_was_had() -> None:
    data = markov_lists()
    sequences = movielens.sequences()
    lasts = {tuple(each[:-1][-50:]): int(each[-1]) for each in sequences}
    for history, listed, place in zip(*data.inputs.values(), data.positives, strict=True):
        had = history[history != 0]
        assert lasts[tuple(had)] == listed[place]
        assert not set(listed) & set(had)
    assert 250 < len(data) < 943


def test_relevance_falls_along_the_same_lists() -> None:
    data, before = relevant_lists(), markov_lists()
    np.testing.assert_array_equal(data.inputs["candidates"], before.inputs["candidates"])
    np.testing.assert_array_equal(data.positives, before.positives)
    relevance = data.inputs["relevance"]
    assert relevance.dtype == np.float32
    assert np.isfinite(relevance).all()
    assert (np.diff(relevance, axis=1) <= 0).all()


def test_a_list_that_trains_does_not_count_its_own_user() -> None:
    """Item 5 comes after 2 in the last sequence alone: without that user, nothing tells it."""
    counts, alone = counted(SEQUENCES), counted(SEQUENCES[:2])
    assert counts[2, 5] == 1
    assert np.pad(alone, ((0, 1), (0, 1)))[2, 5] == 0
    train, valid = markov_lists(split="train"), markov_lists(split="valid")
    assert len(train) > 5000
    means = [float((1 / np.log2(each.positives + 2)).mean()) for each in (train, valid)]
    assert means[0] < means[1] + 0.03, "lists that had counted their own step would be far better"
