"""BM25 by hand, and a rank's reciprocal."""

import numpy as np
import pytest

from pocketrec.model_zoo.training.bm25 import bm25, reciprocal_rank

DOCUMENTS = np.array([[1, 2, 0, 0], [1, 1, 3, 4], [5, 0, 0, 0]], np.int32)


def test_rare_words_and_short_documents_count_more() -> None:
    scores = bm25(np.array([[1, 2, 0], [5, 5, 9]], np.int32), DOCUMENTS)
    common, rare = np.log(1 + 1.5 / 2.5), np.log(1 + 2.5 / 1.5)
    held = [1.2 * (0.25 + 0.75 * length / (7 / 3)) for length in (2, 4, 1)]
    first = (common + rare) * 2.2 / (1 + held[0])
    assert scores[0].tolist() == pytest.approx([first, common * 2 * 2.2 / (2 + held[1]), 0.0])
    assert scores[1].tolist() == pytest.approx([0.0, 0.0, 2 * rare * 2.2 / (1 + held[2])])


def test_an_equal_score_ranks_above_and_beyond_k_nothing_counts() -> None:
    scores = np.array([[3.0, 2.0, 1.0], [1.0, 1.0, 0.0], [3.0, 2.0, 1.0]], np.float32)
    assert reciprocal_rank(scores, [0, 0, 2], k=2) == pytest.approx((1 + 1 / 2 + 0) / 3)
