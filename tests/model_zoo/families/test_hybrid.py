"""Hybrid search: meaning and words in one score, words as BM25 counts them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pocketrec.model_zoo.data import known_items, movielens
from pocketrec.model_zoo.data.folders import cache_folder
from pocketrec.model_zoo.families import hybrid
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.bm25 import bm25, reciprocal_rank, weights
from pocketrec.model_zoo.training.loop import score_all
from pocketrec.model_zoo.training.run import Run

TITLES = np.array([[5, 6, 0], [6, 6, 7], [8, 0, 0]], np.int32)


def tiny() -> hybrid.Hybrid:
    torch.manual_seed(0)
    sizes = {"positions": 9, "dim": 8, "heads": 2, "hidden": 16, "layers": 1, "kept": 8, "top_k": 3}
    net = hybrid.model(num_items=3, num_words=11, title_words=4, **sizes)
    words, counted = weights(TITLES)
    net.pieces[:, : words.shape[1]] = torch.from_numpy(words)
    net.counted[:, : words.shape[1]] = torch.from_numpy(counted)
    return net


def test_a_score_is_the_cosine_and_the_share_of_the_best_that_the_words_give() -> None:
    net, text = tiny(), np.array([[2, 6, 5, 6, 3, 0], [2, 9, 3, 0, 0, 0]], np.int32)
    lexical = bm25(text, TITLES)
    lexical[0] /= lexical[0].max()
    given = torch.from_numpy(text)
    expected = (net.embed(given) @ net.titles.T).detach().numpy() + hybrid.LEXICAL * lexical
    assert lexical[1].tolist() == [0, 0, 0], "no title has a word of the second text"
    np.testing.assert_allclose(net.scores(given).detach(), expected, rtol=1e-5)
    assert net(given)[1][0].tolist() == (expected[0].argsort()[::-1] + 1).tolist()


@pytest.mark.long
def test_meaning_and_words_find_more_films_than_either() -> None:
    """The real weights; embedding the titles takes half a minute of a processor."""
    if not cache_folder("all-minilm-l6-v2").is_dir():
        pytest.skip("not run: `pocketrec zoo data all-minilm-l6-v2` fetches the weights")
    net, data = hybrid.train(Run(rng=np.random.default_rng(0))), known_items.films()
    found = reciprocal_rank(
        score_all(lambda batch: net.scores(batch["text"]), data.inputs), data.positives - 1
    )
    assert found >= FAMILIES["hybrid"].floor("mrr@10")
    dense = score_all(lambda batch: net.embed(batch["text"]) @ net.titles.T, data.inputs)
    assert found > reciprocal_rank(dense, data.positives - 1) + 0.05
    assert len(movielens.item_titles().tokens) == len(net.titles) + 1
