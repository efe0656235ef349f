"""What `evaluate` and `gates` share: metrics, slices of the examples, and limits on what they change by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

from pocketrec.errors import RecipeError
from pocketrec.schema import Range, check_ranges

Metric = Literal["hr", "ndcg", "mrr", "recall", "map", "auc", "log_loss", "gauc", "ece", "adaptive_ece"]

METRICS: Mapping[str, tuple[Metric, ...]] = {  # by kind, the first two always
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
CHANGE_RANGES = {
    key: Range(0, 0.1) for key in ("max_ndcg_drop", "max_auc_drop", "max_log_loss_rise", "max_ece_rise")
}


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
        edges = [f"{each:.12g}" for each in self.cuts]
        between = [f"{one} to {two}" for one, two in pairwise(edges)]
        return (f"under {edges[0]}", *between, f"from {edges[-1]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeLimits:
    """What changes of some examples, or of some step, must hold, as of `gates`; at least one limit is given.

    Attributes:
        max_ndcg_drop: largest change of NDCG@k.
        max_auc_drop: largest change of AUC.
        max_log_loss_rise: largest change of the log loss.
        max_ece_rise: largest change of the calibration error.
    """

    max_ndcg_drop: float | None = None
    max_auc_drop: float | None = None
    max_log_loss_rise: float | None = None
    max_ece_rise: float | None = None

    def __post_init__(self) -> None:
        if all(getattr(self, key) is None for key in CHANGE_RANGES):
            raise RecipeError(f"no limit is given; give one of {', '.join(CHANGE_RANGES)}")
        check_ranges("gates", self, CHANGE_RANGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLimits(ChangeLimits):
    """What a step may cost in every evaluation; at least one limit is given.

    Attributes:
        max_ndcg_drop: largest loss of NDCG@k.
        max_auc_drop: largest loss of AUC.
        max_log_loss_rise: largest rise of the log loss.
        max_ece_rise: largest rise of the calibration error.
        evaluate: limits on one of several evaluations, by its name, in place of those above.
    """

    evaluate: Mapping[str, ChangeLimits] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.evaluate:
            ChangeLimits.__post_init__(self)
        check_ranges("gates", self, CHANGE_RANGES)

    def of(self, name: str) -> StepLimits | None:
        """Those that hold the evaluation of that name; None where none does."""
        own = self.evaluate.get(name)
        stated = {key: _first(getattr(own, key, None), getattr(self, key)) for key in CHANGE_RANGES}
        found = {key: each for key, each in stated.items() if each is not None}
        return replace(self, **found, evaluate={}) if found else None


def _first(own: float | None, others: float | None) -> float | None:
    return others if own is None else own


def check_measures(
    kind: Literal["ranking", "classification"],
    metrics: Sequence[Metric],
    slices: Mapping[str, Slice],
    user: str | None,
) -> None:
    """Checks that metrics and slices are those of such data; RecipeError naming what is not."""
    foreign = [each for each in metrics if each not in METRICS[kind]]
    if foreign:
        known = ", ".join(METRICS[kind])
        raise RecipeError(f"evaluate.metrics: {foreign[0]!r} is none of {kind}; expected {known}")
    if len(set(metrics)) != len(metrics):
        raise RecipeError("evaluate.metrics names a metric twice; name each once")
    if ("gauc" in metrics) != (user is not None):
        raise RecipeError("evaluate: user and the metric gauc go together; give both or neither")
    for name, each in slices.items():
        if ":" in name or not name.strip():
            raise RecipeError(f"evaluate.slices: {name!r} is no name of slices; expected letters without ':'")
        if each.by in PLACED and kind != "ranking":
            raise RecipeError(f"evaluate.slices.{name}: by {each.by!r} is of rankings; name a column")
