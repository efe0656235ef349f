"""The table `gates.versus`: what a build must hold against the release before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pocketrec.errors import RecipeError
from pocketrec.recipe.measures import ChangeLimits
from pocketrec.schema import Range, check_ranges

VERSUS_RANGES: Mapping[str, Range] = {
    "max_ndcg_drop": Range(0, 0.1),
    "max_auc_drop": Range(0, 0.1),
    "max_log_loss_rise": Range(0, 0.1),
    "max_ece_rise": Range(0, 0.1),
    "min_top_k_overlap": Range(0, 1, above=True),
    "max_churn": Range(0, 0.99),
    "max_size_growth": Range(0, 10),
    "max_latency_ratio": Range(0.1, 10),
}
LISTED = ("min_top_k_overlap", "max_churn")  # gates that only lists have
_LOSSES = ("max_ndcg_drop", "max_auc_drop", "max_log_loss_rise", "max_ece_rise")


@dataclass(frozen=True, slots=True, kw_only=True)
class Versus:
    """What a build must hold against its baseline; a limit that is left out gates nothing.

    Limits on quality are on losses alone, as a release may well be better than the last one, and are held by
    the interval as those of `gates`.

    Attributes:
        due_version: whether the version must be one that says what changed of the contract.
        append_only: whether vocabularies may do nothing but grow at the end, so that each id of the baseline
            means what it meant; deltas of tables are small only then.
        max_ndcg_drop: largest loss of NDCG@k.
        max_auc_drop: largest loss of AUC.
        max_log_loss_rise: largest rise of the log loss.
        max_ece_rise: largest rise of the calibration error.
        evaluate: limits on losses of one of several evaluations, by its name, in place of those above.
        slices: limits on losses of slices, named as in `gates`.
        min_top_k_overlap: lowest mean share of the baseline's k best that lists still hold.
        max_churn: largest mean share of a list that is new.
        max_size_growth: largest growth of a target's files, as a share of the baseline's, such as 0.05.
        max_latency_ratio: how many times as long a function may take, of what its interval does not exclude.
        may_skip: `baseline` where a build may do without one; `latency` where times need not be measured.
    """

    due_version: bool = True
    append_only: bool = False
    max_ndcg_drop: float | None = None
    max_auc_drop: float | None = None
    max_log_loss_rise: float | None = None
    max_ece_rise: float | None = None
    evaluate: Mapping[str, ChangeLimits] = field(default_factory=dict)
    slices: Mapping[str, ChangeLimits] = field(default_factory=dict)
    min_top_k_overlap: float | None = None
    max_churn: float | None = None
    max_size_growth: float | None = None
    max_latency_ratio: float | None = None
    may_skip: tuple[Literal["baseline", "latency"], ...] = ()

    def __post_init__(self) -> None:
        check_ranges("gates.versus", self, VERSUS_RANGES)
        tables = self.evaluate or self.slices
        if not (self.due_version or self.append_only or tables or self._stated(VERSUS_RANGES)):
            raise RecipeError("gates.versus: no limit is given; give one, or leave the table out")

    @property
    def losses(self) -> ChangeLimits | None:
        """The limits on losses of all examples together; None where there is none."""
        stated = self._stated(_LOSSES)
        return ChangeLimits(**stated) if stated else None

    @property
    def of_rankings(self) -> tuple[str, ...]:
        """The gates that need both to have ranked the evaluation data, by their keys."""
        slices = [f"slices.{name}" for name in self.slices]
        return (*self._stated((*_LOSSES, *LISTED)), *slices)

    def _stated(self, keys: Iterable[str]) -> dict[str, float]:
        values = {key: getattr(self, key) for key in keys}
        return {key: value for key, value in values.items() if value is not None}
