"""Hybrid search: what a text means and the words that it has, in one score (after Bruch et al., 2023).

s(q, i) = cos(q, i) + α · b(q, i) / max_j b(q, j), where cos is MiniLM's and b is BM25 (training.bm25). A
title's words and what each counts are two tables; a query's words are counted, looked up and summed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.data.texts import END, START, encoded
from pocketrec.model_zoo.families.minilm import TITLE_WORDS, MiniLM, fill
from pocketrec.model_zoo.training import bm25
from pocketrec.model_zoo.training.run import Run

LEXICAL = 0.7  # α
_LEAST = 1e-3  # of the best lexical score, where no title has a word


class Hybrid(MiniLM):
    """MiniLM, and the words of the titles that are searched."""

    pieces: Tensor
    counted: Tensor

    def __init__(self, *, title_words: int, lexical: float, **numbers: float) -> None:
        super().__init__(**numbers)  # type: ignore[arg-type]
        self.lexical = lexical
        size = (len(self.titles), title_words)
        self.register_buffer("pieces", torch.zeros(size, dtype=torch.int32))
        self.register_buffer("counted", torch.zeros(size))

    def scores(self, text: Tensor) -> Tensor:
        """Scores of all titles, `[B, items]`."""
        asked = F.one_hot(text.long(), self.word_embedding.num_embeddings).sum(dim=1)
        found = asked[:, self.pieces.flatten()].reshape(-1, *self.pieces.shape).to(self.counted.dtype)
        lexical = (found * self.counted).sum(dim=-1)
        best = lexical.amax(dim=-1, keepdim=True).clamp(min=_LEAST)
        found_by_both: Tensor = super().scores(text) + self.lexical * lexical / best
        return found_by_both

    @torch.no_grad()
    def count_words(self, titles: Sequence[str]) -> None:
        """Fills the tables of words; where a title begins and ends is no word."""
        pieces = encoded(titles, TITLE_WORDS)
        words, counted = bm25.weights(np.where(np.isin(pieces, (START, END)), 0, pieces))
        self.pieces[:, : words.shape[1]] = torch.from_numpy(words)
        self.counted[:, : words.shape[1]] = torch.from_numpy(counted)


def model(
    *,
    num_items: int,
    num_words: int = 30521,
    positions: int = 512,
    dim: int = 384,
    heads: int = 12,
    hidden: int = 1536,
    layers: int = 6,
    kept: int = 384,
    top_k: int = 100,
    epsilon: float = 1e-12,
    title_words: int = 28,
    lexical: float = LEXICAL,
) -> Hybrid:
    """A Hybrid in eval mode with random weights, and titles at random and without words."""
    net = Hybrid(
        num_items=num_items,
        num_words=num_words,
        positions=positions,
        dim=dim,
        heads=heads,
        hidden=hidden,
        layers=layers,
        kept=kept,
        top_k=top_k,
        epsilon=epsilon,
        title_words=title_words,
        lexical=lexical,
    )
    return net.eval()


def train(run: Run) -> Hybrid:
    """all-MiniLM-L6-v2 and BM25 over the titles of MovieLens-100K, in eval mode; nothing is trained anew."""
    titles = movielens.item_titles().tokens[1:]
    net = model(num_items=len(titles))
    fill(net, titles, run)
    net.count_words(titles)
    return net
