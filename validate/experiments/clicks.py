"""Simulated users: what is clicked of a list, from how attractive each of its items is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pocketrec.errors import UsageError

Doubles = npt.NDArray[np.float64]
Clicks = npt.NDArray[np.bool_]


class ClickModel(Protocol):
    """A user who sees a list."""

    def __call__(self, attraction: Doubles, rng: np.random.Generator) -> Clicks:
        """Which places are clicked, `[k]`, from each place's attraction, a chance, `[k]`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionBased:
    """Looks at place i with chance 1 / i^decay, and clicks on what attracts: each place by itself.

    The position-based model (Richardson, Dominowska & Ragno, 2007; Craswell et al., 2008), with the
    examination of Joachims, Swaminathan & Schnabel, 2017.

    Attributes:
        decay: 0 looks at every place alike.
    """

    decay: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.decay < np.inf:
            raise UsageError(f"the decay is {self.decay}; expected 0 or more")

    def __call__(self, attraction: Doubles, rng: np.random.Generator) -> Clicks:
        """Which places are clicked, `[k]`."""
        examined = np.arange(1, len(attraction) + 1) ** -self.decay
        found: Clicks = rng.random(len(attraction)) < examined * attraction
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """Looks from the top, clicks on what attracts, and after a click stops with a chance.

    Craswell, Zoeter, Taylor & Ramsey, "An experimental comparison of click position-bias models", 2008, which
    stops at the first click; below 1 the dependent click model of Guo, Liu & Wang, 2009, with one chance for
    all places.

    Attributes:
        stop: the chance to stop after a click.
    """

    stop: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.stop <= 1:
            raise UsageError(f"the chance to stop is {self.stop}; expected 0 to 1")

    def __call__(self, attraction: Doubles, rng: np.random.Generator) -> Clicks:
        """Which places are clicked, `[k]`."""
        clicks = rng.random(len(attraction)) < attraction
        stops = clicks & (rng.random(len(attraction)) < self.stop)
        stopped = np.cumsum(stops, dtype=np.int64) - stops > 0
        found: Clicks = clicks & ~stopped
        return found


MODELS: dict[str, ClickModel] = {"position": PositionBased(), "cascade": Cascade()}
