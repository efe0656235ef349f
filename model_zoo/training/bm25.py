"""BM25, what every search is measured against (Robertson and Zaragoza, 2009)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from pocketrec.evaluation import Ids
from pocketrec.model_zoo.data.sequences import Ints
from pocketrec.model_zoo.training.loop import Floats

K1, B = 1.2, 0.75


def bm25(queries: Ints, documents: Ints, *, k1: float = K1, b: float = B) -> Floats:
    """Scores of every document for every query, float32 `[queries, documents]`.

    score(q, d) = Σ_{w in q} idf(w) · f(w, d) (k1 + 1) / (f(w, d) + k1 (1 − b + b |d| / mean |d|)), where
    idf(w) = ln(1 + (N − n(w) + ½) / (n(w) + ½)) and f counts the word w in d.

    Args:
        queries: ids of words, 0 for none, `[queries, length]`.
        documents: likewise, `[documents, length]`.
        k1: how soon a repeated word counts no more.
        b: how much a long document is held against it.
    """
    counts = [Counter(row[row > 0].tolist()) for row in documents]
    lengths = np.array([max(1, each.total()) for each in counts])
    held = k1 * (1 - b + b * lengths / lengths.mean())
    found: dict[int, list[int]] = {}
    for place, words in enumerate(counts):
        for word in words:
            found.setdefault(word, []).append(place)
    scores = np.zeros((len(queries), len(documents)), np.float32)
    for row, query in zip(scores, queries, strict=True):
        for word in query[query > 0].tolist():
            places = found.get(word, [])
            idf = np.log1p((len(documents) - len(places) + 0.5) / (len(places) + 0.5))
            often = np.array([counts[place][word] for place in places])
            row[places] += idf * often * (k1 + 1) / (often + held[places])
    return scores


def reciprocal_rank(scores: Floats, positives: Sequence[int] | Ids, k: int = 10) -> float:
    """MRR@k: the mean of 1 / rank, 0 below rank k; an equal score counts as ranked above (Voorhees, 1999)."""
    own = scores[np.arange(len(scores)), np.asarray(positives)]
    ranks = (scores >= own[:, None]).sum(axis=1)
    return float(np.where(ranks <= k, 1 / ranks, 0).mean())
