"""Items spelled id by id: what comes before runs once, the generating function for every step of a search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pocketrec.contract import Contract, Feature, Output
from pocketrec.errors import CallError
from pocketrec.package.host.answers import Recommendations
from pocketrec.package.host.asked import Asked
from pocketrec.package.host.beam import PrefixTrie, Tokens, beam_search
from pocketrec.package.host.features import Array, Encoder
from pocketrec.package.host.roles import fed_by, prefix_of

_LEAST_BEAMS = 10  # of which fewer would miss items that begin badly


def generate(one: Asked) -> Recommendations:
    """The items of the k best spellings that the call does not exclude; scores are log-probabilities.

    What the model itself forbids is not listed. As many beams live on as items are asked for, ten at least.
    """
    k, left_out = one.k(), one.left_out()
    inputs = _Inputs(one)
    given = inputs.encoded()  # a mistake is told even where nothing is asked for
    places = [place for place in one.items.spelled if place not in left_out]
    if not k or not places:
        return one.listed(())
    trie = PrefixTrie([one.items.spelled[place] for place in places])
    step = _Step(one, inputs.fed(given))
    found = beam_search(step, trie, start=step.start, beam_width=max(k, _LEAST_BEAMS))
    pairs = zip(found.items.tolist(), found.scores.tolist(), strict=True)
    found_items = [one.item(places[place], score) for place, score in pairs if score > -math.inf]
    return one.listed(found_items[:k])


class _Inputs:
    """What the functions of one generation are given."""

    def __init__(self, one: Asked) -> None:
        self._one = one
        self._fed = fed_by(one.contract, one.call.function)
        self.functions = [*dict.fromkeys(self._fed.values()), one.call.function]

    def encoded(self) -> dict[str, dict[str, Array]]:
        """Every function's inputs of one row; what other functions give, and the prefix, left out."""
        one = self._one
        rows = one.features()
        prefix = prefix_of(one.contract, one.call.function, one.call.items).name
        without = frozenset({*self._fed, prefix})
        return {
            name: self._encoder(name, without if name == one.call.function else frozenset()).arrays(rows)
            for name in self.functions
        }

    def _encoder(self, function: str, without: frozenset[str]) -> Encoder:
        one = self._one
        return replace(
            one.encoder,
            signature=one.contract.functions[function],
            spelled=one.items,
            without=without,
        )

    def fed(self, given: Mapping[str, Mapping[str, Array]]) -> dict[str, Array]:
        """The generating function's inputs of one row, those among them that other functions give."""
        one, found = self._one, dict(given[self._one.call.function])
        for name in self.functions[:-1]:
            outputs = one.run(name, given[name])
            found.update({each: outputs[each] for each, giver in self._fed.items() if giver == name})
        return found


class _Step:
    """Logits of the next id after prefixes, in as many runs as the contract's batch asks for."""

    def __init__(self, one: Asked, given: Mapping[str, Array]) -> None:
        self._one, self._given = one, given
        self._prefix: Feature = prefix_of(one.contract, one.call.function, one.call.items)
        self._out = _logits(one)
        self._contract: Contract = one.contract
        spec = one.contract.vocabularies[str(self._prefix.vocabulary)]
        self.start = spec.padding_id or 0

    def __call__(self, prefixes: Tokens) -> Array:
        low, high = self._contract.bounds(self._prefix.shape[0])
        parts = []
        for start in range(0, len(prefixes), high):
            chunk = prefixes[start : start + high]
            rows = np.concatenate([chunk, np.repeat(chunk[-1:], max(0, low - len(chunk)), axis=0)])
            parts.append(self._run(rows)[: len(chunk)])
        return np.concatenate(parts)

    def _run(self, prefixes: Tokens) -> Array:
        least, most = self._contract.bounds(self._prefix.shape[-1])
        length = prefixes.shape[1]
        if length > most:
            raise CallError(
                "too_long", f"{self._prefix.name} takes {most} ids, and items are spelled in {length} or more"
            )
        fill = np.full((len(prefixes), max(0, least - length)), self.start, np.int32)
        left = self._prefix.padding_side == "left"
        padded = np.concatenate([fill, prefixes] if left else [prefixes, fill], axis=1)
        rows = {name: np.repeat(each[:1], len(prefixes), axis=0) for name, each in self._given.items()}
        logits = np.asarray(
            self._one.outputs({**rows, self._prefix.name: padded.astype(np.int32)})[self._out.name]
        )
        return logits if logits.ndim == 2 else logits[:, -1 if left else length - 1]


def _logits(one: Asked) -> Output:
    """The output of logits over the ids that spell items."""
    code = one.contract.vocabularies[one.call.items].spelled_in
    return next(each for each in one.signature.outputs if each.meaning == "logit" and each.vocabulary == code)
