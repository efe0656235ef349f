"""BM25, what every search is measured against (Robertson and Zaragoza, 2009)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from pocketrec.evaluation import Ids
from pocketrec.model_zoo.data.sequences import Ints
from pocketrec.model_zoo.training.loop import Floats

K1, B = 1.2, 0.75


def weights(documents: Ints, *, k1: float = K1, b: float = B) -> tuple[Ints, Floats]:
    """The different words of every document and what each counts, `[documents, most words]`, 0 where none is.

    w(d) = idf(w) · f(w, d) (k1 + 1) / (f(w, d) + k1 (1 − b + b |d| / mean |d|)), where
    idf(w) = ln(1 + (N − n(w) + ½) / (n(w) + ½)) and f counts the word w in d.

    Args:
        documents: ids of words, 0 for none, `[documents, length]`.
        k1: how soon a repeated word counts no more.
        b: how much a long document is held against it.
    """
    counts = [Counter(row[row > 0].tolist()) for row in documents]
    among = Counter(word for each in counts for word in each)
    lengths = np.array([max(1, each.total()) for each in counts])
    held = k1 * (1 - b + b * lengths / lengths.mean())
    words = np.zeros((len(counts), max(map(len, counts))), np.int32)
    found = np.zeros(words.shape, np.float32)
    for row, each in enumerate(counts):
        often = np.array(list(each.values()))
        others = np.array([among[word] for word in each])
        idf = np.log1p((len(counts) - others + 0.5) / (others + 0.5))
        words[row, : len(each)] = list(each)
        found[row, : len(each)] = idf * often * (k1 + 1) / (often + held[row])
    return words, found


def bm25(queries: Ints, documents: Ints) -> Floats:
    """Scores of every document for every query, Σ_{w in q} w(d), float32 `[queries, documents]`."""
    words, counted = weights(documents)
    asked = np.zeros((len(queries), int(max(words.max(), queries.max())) + 1), np.float32)
    np.add.at(asked, (np.arange(len(queries))[:, None], queries), 1)
    return np.stack([(row[words] * counted).sum(axis=1) for row in asked])


def reciprocal_rank(scores: Floats, positives: Sequence[int] | Ids, k: int = 10) -> float:
    """MRR@k: the mean of 1 / rank, 0 below rank k; an equal score counts as ranked above (Voorhees, 1999)."""
    own = scores[np.arange(len(scores)), np.asarray(positives)]
    ranks = (scores >= own[:, None]).sum(axis=1)
    return float(np.where(ranks <= k, 1 / ranks, 0).mean())
