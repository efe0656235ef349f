"""What a recipe can ask to be measured: metrics by name, and divisions of the examples into slices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from pocketrec.errors import RecipeError

Metric = Literal["hr", "ndcg", "mrr", "recall", "map", "auc", "log_loss", "gauc", "ece", "adaptive_ece"]

METRICS: Mapping[str, tuple[Metric, ...]] = {  # by kind, the first two by default
    "ranking": ("hr", "ndcg", "mrr", "recall", "map"),
    "classification": ("auc", "log_loss", "gauc", "ece", "adaptive_ece"),
}
# What a ranking can be divided by without a column: edges and names where none are stated.
PLACED: Mapping[str, tuple[tuple[float, ...], tuple[str, ...]]] = {
    "history": ((5,), ("cold", "warm")),
    "popularity": ((0.2,), ("head", "tail")),
}
FEWEST = 10  # examples that an interval is computed from; fewer have hardly another draw than themselves
_MOST_EXAMPLES = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A division of the examples into slices, each of which is looked at apart.

    Attributes:
        by: `history`, how many items a user has had; `popularity`, at which share of the items, the most
            popular first, the held-out item stands; or a column or an input of one number per row.
        edges: numbers that rise; each begins a slice. By default 5 for `history` and 0.2 for `popularity`;
            a column without edges has a slice for each of its values.
        names: of the slices in order, one more than edges; by default `cold` and `warm`, `head` and `tail`,
            or the edges themselves.
        min_examples: a slice of fewer is shown and not gated.
    """

    by: str
    edges: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    min_examples: int = 100

    def __post_init__(self) -> None:
        falls = [each for each, then in pairwise(self.edges) if not each < then]
        if falls:
            raise RecipeError(f"edges: {falls[0]:g} is followed by no larger one; expected numbers that rise")
        if self.names and len(self.names) != len(self.cuts) + 1:
            raise RecipeError(
                f"names: {len(self.names)} for {len(self.cuts)} edges; expected {len(self.cuts) + 1}"
            )
        if len(set(self.names)) != len(self.names):
            raise RecipeError("names: two are alike; name each slice differently")
        if not FEWEST <= self.min_examples <= _MOST_EXAMPLES:
            raise RecipeError(
                f"min_examples is {self.min_examples}; expected {FEWEST} to {_MOST_EXAMPLES}, as fewer "
                "examples tell nothing"
            )

    @property
    def cuts(self) -> tuple[float, ...]:
        """The edges, those of `by` where none are stated."""
        return self.edges or PLACED.get(self.by, ((), ()))[0]

    @property
    def labels(self) -> tuple[str, ...]:
        """What each slice between the edges is called; empty where values are the slices."""
        if self.names:
            return self.names
        if not self.edges and self.by in PLACED:
            return PLACED[self.by][1]
        if not self.cuts:
            return ()
        edges = [f"{each:g}" for each in self.cuts]
        between = [f"{one} to {two}" for one, two in pairwise(edges)]
        return (f"under {edges[0]}", *between, f"from {edges[-1]}")
