"""Beam search over semantic ids: the host's part of generative retrieval, for any model.

    step(prefixes) ─▶ log-probabilities ─▶ what the trie allows ─▶ the best beams ─▶ items

An item is a tuple of tokens, all of one length; the model knows nothing of the catalogue, the trie does.
Source: Rajput et al., "Recommender Systems with Generative Retrieval", 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pocketrec.errors import DataError, ExecutionError, InputError
from pocketrec.package.host.features import Array

Tokens = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
# Prefixes (beams, tokens so far), the start token among them, to logits (beams, vocabulary).
Step = Callable[[Tokens], Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """The items that a search found, best first.

    Attributes:
        items: places in the trie's catalogue, int32.
        scores: natural logarithms of the items' probabilities under the model, float32.
    """

    items: Tokens
    scores: npt.NDArray[np.float32]


class PrefixTrie:
    """A catalogue by the tokens that its items begin with.

    Args:
        items: a row of tokens per item; an item's place is its number.

    Raises:
        DataError: there is no item, a token is negative, two items are equal, or lengths differ.
    """

    def __init__(self, items: Sequence[Sequence[int]]) -> None:
        if not items or not items[0]:
            raise DataError("the catalogue has no item or no token; pass a row of tokens per item")
        self.length = len(items[0])
        self._items: dict[tuple[int, ...], int] = {}
        children: dict[tuple[int, ...], set[int]] = {}
        for place, each in enumerate(items):
            tokens = tuple(int(token) for token in each)
            self._check(tokens, place)
            self._items[tokens] = place
            for depth, token in enumerate(tokens):
                children.setdefault(tokens[:depth], set()).add(token)
        self._children = {prefix: np.array(sorted(each), np.int32) for prefix, each in children.items()}
        self.largest_token = max(max(each) for each in self._items)

    def _check(self, tokens: tuple[int, ...], place: int) -> None:
        if len(tokens) != self.length:
            raise DataError(f"item {place} has {len(tokens)} tokens; item 0 has {self.length}")
        if min(tokens) < 0:
            raise DataError(f"item {place}: token {min(tokens)}; expected 0 or more")
        if tokens in self._items:
            raise DataError(
                f"items {self._items[tokens]} and {place} have the same tokens {list(tokens)}; append one "
                "more token that tells them apart"
            )

    def allowed(self, prefix: Sequence[int]) -> Tokens:
        """The tokens that may follow, ascending; none where no item begins so, or the item is complete."""
        return self._children.get(tuple(int(token) for token in prefix), np.zeros(0, np.int32))

    def item(self, tokens: Sequence[int]) -> int:
        """The place of the item with these tokens; DataError where there is none."""
        key = tuple(int(token) for token in tokens)
        if key not in self._items:
            raise DataError(f"no item has the tokens {list(key)}; take each one from allowed()")
        return self._items[key]


def beam_search(step: Step, trie: PrefixTrie, *, start: int = 0, beam_width: int = 10) -> Generated:
    """At most `beam_width` items, each the end of a beam that survived every step.

    Probabilities are those of the model over its whole vocabulary; forbidden tokens keep their share.
    They are added in float64 and compared in float32, since the last bit of a logarithm differs from language
    to language. Of equal scores the earlier beam wins, then the smaller token. With a beam for every prefix
    of the catalogue the search is exhaustive.

    Args:
        step: logits of the next token for each prefix.
        trie: the catalogue.
        start: the token that every prefix begins with; it is not part of an item.
        beam_width: how many prefixes live on after each step.

    Raises:
        InputError: the beam width is not positive.
        ExecutionError: a step gives another shape, or NaN, or knows fewer tokens than the catalogue.
    """
    if beam_width < 1:
        raise InputError(f"beam_width is {beam_width}; expected 1 or more")
    prefixes, scores = np.array([[start]], np.int32), np.zeros(1)
    for _ in range(trie.length):
        prefixes, scores = _extend(step, trie, prefixes, scores, beam_width)
    items = np.array([trie.item(each) for each in prefixes[:, 1:]], np.int32)
    return Generated(items=items, scores=scores.astype(np.float32))


def _extend(
    step: Step, trie: PrefixTrie, prefixes: Tokens, scores: Floats, beam_width: int
) -> tuple[Tokens, Floats]:
    """The best prefixes that are one token longer, with their scores, best first."""
    logs = _log_probabilities(step(prefixes), len(prefixes), trie.largest_token)
    choices = [trie.allowed(each) for each in prefixes[:, 1:]]
    beams = np.repeat(np.arange(len(prefixes)), [len(each) for each in choices])
    tokens = np.concatenate(choices)
    extended = scores[beams] + logs[beams, tokens]
    best = np.lexsort((tokens, beams, -extended.astype(np.float32)))[:beam_width]
    longer = np.concatenate([prefixes[beams[best]], tokens[best, None]], axis=1)
    return longer.astype(np.int32), extended[best]


def _log_probabilities(logits: Array, beams: int, largest_token: int) -> Floats:
    values = np.asarray(logits, np.float64)
    if values.ndim != 2 or len(values) != beams or values.shape[1] <= largest_token:
        raise ExecutionError(
            f"step: logits of shape {values.shape}; expected {beams} beams by more than "
            f"{largest_token} tokens"
        )
    highest = values.max(axis=1, keepdims=True)
    if not np.isfinite(highest).all():
        raise ExecutionError("step: logits that are NaN or infinite in a whole row; check the model's masks")
    shifted = values - highest
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), np.float64)
