"""What changed from one release to the next, as data: `pocketrec diff` shows it, and a build gates on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pocketrec.report.quality import RankingParity

Level = Literal["breaking", "addition", "same"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference of two contracts.

    Attributes:
        level: `breaking` where what an app did before gives an error or another thing, `addition` where it
            goes on and more is possible, `same` where nobody who calls notices.
        where: what changed, such as `main, input history`.
        what: from what to what.
        why: what it means for an app; empty where that is plain.
    """

    level: Level
    where: str
    what: str
    why: str = ""

    @property
    def message(self) -> str:
        """The change in one line."""
        return f"{self.where}: {self.what}" + (f"; {self.why}" if self.why else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bump:
    """What the later release may be called.

    Attributes:
        old: the earlier version.
        new: the later one.
        due: the smallest version that says what changed; empty where the earlier one has no numbers.
        kind: which of its numbers has to rise.
        enough: whether the later version is at least that.
    """

    old: str
    new: str
    due: str
    kind: str
    enough: bool

    @property
    def message(self) -> str:
        """The verdict in one line."""
        if not self.due:
            return f"version {self.old!r} has no numbers to raise; expected one such as 1.2.0"
        due = f"a {self.kind} version is due: {self.due}"
        said = f"the same bytes as {self.old}" if self.kind == "same" else due
        step = "" if self.enough else f"; set version = {self.due!r} in the recipe"
        return f"{said}, and it is {self.new}{step}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One of the two: `path` as it was given, `tree_sha256` that of its manifest."""

    path: str
    name: str
    version: str
    tree_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeChange:
    """Bytes of an artifact, or of a tensor in it where it is named; None where a release has none."""

    target: str
    function: str
    tensor: str
    old_bytes: int | None
    new_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyChange:
    """What a function of a target takes in both releases, called in turns on one machine.

    Attributes:
        target: whose artifacts were called.
        function: of the contract.
        runtime: on what; empty where they were not called.
        old_ms: the median call of the earlier release.
        new_ms: that of the later one.
        ratio: how many times as long the later one takes.
        low: the end of the ratio's interval; None where there were too few rounds for one.
        high: its other end.
        confidence: of the interval.
        rounds: how many were counted.
        threads: of either.
        reason: why they were not called, or not compared; then there is no number.
    """

    target: str
    function: str
    runtime: str = ""
    old_ms: float | None = None
    new_ms: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float = 0.0
    rounds: int = 0
    threads: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedList:
    """One user's lists in titles, best first, and the end of the history that they follow."""

    row: int
    overlap: float
    history: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """How far rankings moved, or why they were not compared.

    Attributes:
        name: of the evaluation; empty where the recipe has but one.
        reason: why not; empty where they were.
        target: whose artifacts ran.
        runtime: on what.
        quality: the earlier release as the reference, the later one beside it; None where there is a reason.
        kept: how many users' lists hold none of the earlier ones' items, one of them, and so on to all;
            empty for labels.
        worst: the lists that kept least, the worst first; none for labels, and none that kept everything.
    """

    name: str = ""
    reason: str = ""
    target: str = ""
    runtime: str = ""
    quality: RankingParity | None = None
    kept: tuple[int, ...] = ()
    worst: tuple[MovedList, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseDiff:
    """What changed from one release to the next.

    Attributes:
        old: the earlier one.
        new: the later one.
        level: of the heaviest change of the contract.
        changes: of contract and vocabularies, what breaks first.
        bump: the version that is due.
        sizes: of artifacts, and of the tensors in them that changed.
        latency: of the functions of targets that both have; empty where it was not asked for.
        tools: tool to the versions that made the two; only those that differ.
        rewrites: rewrites that only one of the two needed, by name: `old` or `new`.
        protocol: what the two were evaluated by, where it differs; figures of their evidence do not compare.
        ranking: both on the data of the first evaluation, or why not.
        further: the same of the others, where the recipe has several.
    """

    old: Release
    new: Release
    level: Level
    changes: tuple[Change, ...]
    bump: Bump
    sizes: tuple[SizeChange, ...]
    latency: tuple[LatencyChange, ...] = ()
    tools: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    rewrites: Mapping[str, str] = field(default_factory=dict)
    protocol: tuple[str, ...] = ()
    ranking: Moved
    further: tuple[Moved, ...] = ()

    @property
    def rankings(self) -> tuple[Moved, ...]:
        """Of every evaluation, in the recipe's order."""
        return (self.ranking, *self.further)

    @property
    def passed(self) -> bool:
        """Whether the later version says what changed."""
        return self.bump.enough
