"""Searches that every language makes over the same logits."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

CATALOGUE: list[tuple[int, ...]] = list(product((1, 2), (3, 4), (5, 6, 7)))
PERMUTED: list[tuple[int, ...]] = [each for each in product((1, 2, 3), repeat=3) if len(set(each)) == 3]
CASES = ((CATALOGUE, False), (PERMUTED, True))
Logits = dict[str, list[float]]


def drawn(catalogue: list[tuple[int, ...]], seed: int, *, alike: bool) -> Logits:
    """Logits for every prefix of a catalogue: the same for all, or of each its own."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=9)
    prefixes = {each[:depth] for each in catalogue for depth in range(len(each))}
    return {
        ",".join(map(str, each)): (shared if alike else rng.normal(size=9)).tolist()
        for each in sorted(prefixes)
    }


def searches() -> list[dict[str, Any]]:
    """A catalogue, the logits of its prefixes, and how many beams live on."""
    return [
        {"catalogue": catalogue, "logits": drawn(catalogue, seed, alike=alike), "beamWidth": width}
        for catalogue, alike in CASES
        for seed, width in product(range(4), (1, 3, 20))
    ]
