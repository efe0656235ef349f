"""Which variant a unit gets: the same for ever, anywhere, from a salt and the variants' names alone.

Weighted rendezvous hashing: every variant draws from SHA-256(salt, variant, unit) an exponential time with
its weight as rate, and the earliest takes the unit. P(variant) = weight / sum of weights, and

    a variant is added         only units that go to it move
    a variant is taken away    only its own units move
    a weight grows             units move to that variant only; where it shrinks, from it only

which is the fewest that any scheme can move (Thaler & Ravishankar, "Using name-based mappings to increase hit
rates", 1998; with weights as Efraimidis & Spirakis, "Weighted random sampling with a reservoir", 2006).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pocketrec.errors import UsageError

_STEPS = 1 << 53  # as many as a double holds between 0 and 1
_LEAST, _MOST = 1e-9, 1e9  # of a weight, so that no time is infinite


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How units are divided.

    Attributes:
        salt: a word of its own for every experiment, so that two experiments divide independently.
        variants: name to weight; a weight is a share of their sum.
    """

    salt: str
    variants: Mapping[str, float]

    def __post_init__(self) -> None:
        if not self.salt:
            raise UsageError("salt is empty; expected a word of its own for every experiment")
        check_word("salt", self.salt)
        check_weights(self.variants)

    def shares(self) -> dict[str, float]:
        """The share of the units that each variant gets, in the order of the variants."""
        total = math.fsum(self.variants.values())
        return {name: weight / total for name, weight in self.variants.items()}

    def __call__(self, unit: str) -> str:
        """The variant of a unit."""
        return min(self.variants, key=lambda name: (self._time(name, unit), name))

    def _time(self, name: str, unit: str) -> float:
        """When the variant would take the unit: exponential, with the weight as rate."""
        return -math.log(_uniform(self.salt, name, unit)) / self.variants[name]


def check_weights(weights: Mapping[str, float]) -> None:
    """Checks that there are two variants or more, each with a name and a weight; else a UsageError."""
    if len(weights) < 2:
        raise UsageError(f"{len(weights)} variants; expected two or more, such as control=1 and new=1")
    for name, weight in weights.items():
        if not name:
            raise UsageError("a variant has no name; expected one, such as control=1")
        check_word("variant", name)
        if not _LEAST <= weight <= _MOST:
            raise UsageError(f"variant {name!r}: the weight is {weight}; expected {_LEAST:g} to {_MOST:g}")


def check_word(what: str, word: str) -> None:
    """Checks that a word can be written as UTF-8, from which the digests are; else a UsageError."""
    try:
        word.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{what} is {word!r}, which is no UTF-8; expected text") from None


def _uniform(salt: str, name: str, unit: str) -> float:
    """A number above 0 and below 1: the first 53 bits of the digest, and half a step.

    Each word goes in with its length, so that no two triples make the same bytes.
    """
    words = (word.encode() for word in (salt, name, unit))
    digest = hashlib.sha256(b"".join(b"%d:%s" % (len(word), word) for word in words)).digest()
    return ((int.from_bytes(digest[:8], "big") >> 11) + 0.5) / _STEPS


def assign(units: Iterable[str], split: Split) -> Iterator[tuple[str, str]]:
    """Every unit with its variant, in the order given.

    Raises:
        UsageError: a unit is empty, or cannot be written as UTF-8; names its place.
    """
    for place, unit in enumerate(units):
        if not unit:
            raise UsageError(f"unit {place} is empty; expected an id, such as a user's")
        check_word(f"unit {place}", unit)
        yield unit, split(unit)
