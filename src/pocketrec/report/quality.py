"""What became of metrics, lists, slices and probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Where a figure lies, by a share of `confidence` of such intervals."""

    low: float
    high: float
    confidence: float

    def within(self, limit: float) -> bool:
        """Whether it excludes everything further from 0 than the limit."""
        return -limit <= self.low and self.high <= limit


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricChange:
    """How a metric moved from the reference to the artifact, paired example by example.

    Attributes:
        metric: such as `ndcg@10`.
        before: the reference's.
        after: the artifact's.
        examples: that are resampled; 0 where the metric is no mean of theirs, and has no interval.
        resampled: what an example is, `users` or `rows`.
        differing: how many have another value.
        fell: how many have a worse value.
        deviation: standard deviation of what the examples' values changed by.
        intervals: of the change: the first as if it were looked at alone, the n-th so that n of them hold
            together (at the confidence that Holm's step asks for).
        method: of the intervals, `bca` or `percentile`.
    """

    metric: str
    before: float
    after: float
    examples: int = 0
    resampled: str = ""
    differing: int = 0
    fell: int = 0
    deviation: float = float("nan")
    intervals: tuple[Interval, ...] = ()
    method: str = ""

    @property
    def change(self) -> float:
        """The artifact's value less the reference's."""
        return self.after - self.before

    def interval(self, *, together: bool = False) -> Interval | None:
        """Of the change looked at alone, or the widest one, `together` with others; None without any."""
        return self.intervals[-1 if together else 0] if self.intervals else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceChange:
    """The examples of one slice; `large` where they are enough to be gated."""

    division: str
    label: str
    examples: int
    large: bool
    changes: tuple[MetricChange, ...]

    @property
    def name(self) -> str:
        """As a gate names it."""
        return f"{self.division}: {self.label}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListChange:
    """What became of the users' lists of one length, the means over users.

    Attributes:
        k: the length.
        overlap: the share of a list that the other holds too.
        rank_biased_overlap: the same weighted by place, extrapolated, with p = 0.9.
        kendall_tau: how alike they are ordered, -1 to 1; None for lists of one item.
        churn: the share of a list that is new.
        changed: the share of users whose list is another, be it in its order alone.
        first_changed: the share of users whose first item is another.
        coverage: the share of the items that some list holds, before and after; None where their number is
            not known.
        novelty: bits per item, before and after.
        popularity_shift: the relative change of how popular listed items are.
        diversity: mean distance of two items of a list, before and after; None where items have no vectors.
    """

    k: int
    overlap: float
    rank_biased_overlap: float
    churn: float
    changed: float
    first_changed: float
    kendall_tau: float | None = None
    coverage: tuple[float, float] | None = None
    novelty: tuple[float, float] | None = None
    popularity_shift: float | None = None
    diversity: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What became of probabilities as such.

    Attributes:
        ece: calibration error with 15 bins of equal width, before and after.
        adaptive_ece: with 15 bins of equal numbers of rows.
        shift: the mean of what rows' probabilities changed by.
        interval: of the shift.
        warning: where the probabilities drifted; else empty.
    """

    ece: tuple[float, float]
    adaptive_ece: tuple[float, float]
    shift: float
    interval: Interval | None
    warning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserLists:
    """One user's lists, best first, and the end of the history that they follow; in ids.

    Attributes:
        row: the user's number.
        overlap: the share of the list that the other holds too.
        vocabulary: of the lists; empty where the contract names none.
        before: the reference's.
        after: the artifact's.
        history_vocabulary: of the history; empty where the function takes none.
        history: its latest items.
    """

    row: int
    overlap: float
    vocabulary: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    history_vocabulary: str = ""
    history: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingParity:
    """The recommender's quality, reference against artifact, over all evaluation examples.

    Attributes:
        name: of the evaluation; empty where the recipe has but one.
        examples: users (ranking) or rows (classification).
        reference: metric name to value, such as `ndcg@10`, for the reference.
        artifact: the same for the artifact.
        top_k_overlap: mean share of the k best in both lists; None for classification.
        worst_overlap: the smallest share of any example; None for classification.
        worst_row: the number of that example.
        available: how many examples there are, where a slow runtime examined a sample; else None.
        changes: of every metric, with intervals.
        slices: of the examples, where the recipe asks for some.
        lists: what became of them at each length; empty for classification.
        calibration: of probabilities and logits; None for rankings.
        users: the lists of a few, those that kept least.
    """

    name: str = ""
    examples: int
    reference: Mapping[str, float]
    artifact: Mapping[str, float]
    top_k_overlap: float | None = None
    worst_overlap: float | None = None
    worst_row: int | None = None
    available: int | None = None
    changes: tuple[MetricChange, ...] = ()
    slices: tuple[SliceChange, ...] = ()
    lists: tuple[ListChange, ...] = ()
    calibration: Calibration | None = None
    users: tuple[UserLists, ...] = ()

    @property
    def of(self) -> str:
        """` of NAME`, which follows a metric or a gate; empty where there is but one evaluation."""
        return f" of {self.name}" if self.name else ""

    @property
    def examined(self) -> str:
        """How many examples, and of how many where that is a sample."""
        return str(self.examples) if self.available is None else f"{self.examples} of {self.available}"
