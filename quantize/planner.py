"""The search for a plan: what to do with each tensor, so that ranking is kept and bytes are few.

    sensitivity   each tensor's candidates alone ─▶ distortion of the ranking
    front         bytes + λ · distortion, least per tensor, for every λ ─▶ a row of plans
    bisection     the smallest plan of that row whose joint measurement is within the budget
    refinement    one tensor a step smaller, measured jointly, while time lasts

Distortions are taken to add up only to propose plans; what decides is the joint measurement. The
search is anytime: whenever it stops, the best plan measured so far is the answer.

Lagrangian allocation: Shoham and Gersho (1988), "Efficient bit allocation for an arbitrary set of
quantizers".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pocketrec.quantize.candidates import Candidate, schemes_of
from pocketrec.quantize.plan import Plan
from pocketrec.quantize.schemes import Scheme

Choice = Mapping[str, Candidate]
Schemes = Mapping[str, Scheme]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a plan costs on the evaluation data.

    Attributes:
        losses: metric name to how much lower it is than the original's; NaN where it broke.
        distortion: how far the ranking moved, 0 where it did not: 1 less the top-k overlap, or 1 less
            the rank correlation of scores.
    """

    losses: Mapping[str, float]
    distortion: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a plan must hold.

    Attributes:
        max_bytes: of all tensors together; None where size is what is minimized.
        max_losses: metric name to the largest loss; empty where loss is what is minimized.
    """

    max_bytes: int | None = None
    max_losses: Mapping[str, float]

    def keeps(self, measured: Measured) -> bool:
        """Whether every loss is within its limit."""
        return all(measured.losses[name] <= limit for name, limit in self.max_losses.items())

    def holds(self, point: Point) -> bool:
        """Whether a plan is within size and loss."""
        return (self.max_bytes is None or point.size_bytes <= self.max_bytes) and self.keeps(point.measured)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A plan that was measured as a whole; `size_bytes` counts tensors left in float32 too."""

    plan: Plan
    size_bytes: int
    measured: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a search found.

    Attributes:
        best: the plan that holds the budget; None where none was found.
        nearest: `best`, else the plan that comes nearest to the budget.
        front: plans that no other measured plan beats in both bytes and distortion, smallest first.
        measured: how many plans were measured.
        complete: False where time ran out.
    """

    best: Point | None
    nearest: Point
    front: tuple[Point, ...]
    measured: int
    complete: bool


MeasureAll = Callable[[Sequence[Schemes]], Iterator[Measured]]


class Search:
    """One search; `run` gives its outcome.

    Args:
        options: per tensor its candidates, largest first; the first leaves it in float32.
        measure_all: measures plans, in order, as an iterator, so that a search can stop early.
        budget: what the plan must hold.
        expired: whether time has run out.
        progress: told what is being done, how far, and how far there is.
    """

    def __init__(
        self,
        options: Mapping[str, Sequence[Candidate]],
        measure_all: MeasureAll,
        budget: Budget,
        *,
        expired: Callable[[], bool] = lambda: False,
        progress: Progress = lambda *_: None,
    ) -> None:
        self._options, self._measure_all, self._budget = options, measure_all, budget
        self._expired, self._progress = expired, progress
        self._points: list[Point] = []
        self._known: dict[tuple[int, ...], Point] = {}
        self._distortion: dict[tuple[str, int], float] = {}

    def run(self) -> Outcome:
        """The outcome; at least the uncompressed and the smallest plan have been measured."""
        names = list(self._options)
        smallest = {name: self._options[name][-1] for name in names}
        self._measure({name: self._options[name][0] for name in names})
        self._measure(smallest)
        if not self._expired():
            self._sensitivity()
            row = list(self._front())
            self._bisect(row)
            self._refine()
        return self._outcome()

    def _measure(self, choice: Choice) -> Point:
        key = tuple(self._options[name].index(each) for name, each in choice.items())
        if key not in self._known:
            schemes = schemes_of(choice)
            point = Point(
                plan=Plan(tensors=schemes),
                size_bytes=sum(each.size_bytes for each in choice.values()),
                measured=next(iter(self._measure_all([schemes]))),
            )
            self._known[key] = point
            self._points.append(point)
        return self._known[key]

    def _sensitivity(self) -> None:
        """The distortion of every candidate alone; what time leaves out is taken from its neighbour."""
        jobs = [
            (name, place, each.scheme)
            for name, options in self._options.items()
            for place, each in enumerate(options)
            if each.scheme is not None
        ]
        # The largest savings first, so that what time cuts off matters least.
        jobs.sort(key=lambda job: -self._saving(job[0], job[1]))
        results = self._measure_all([{name: scheme} for name, _, scheme in jobs])
        for done, (name, place, _) in enumerate(jobs):
            if self._expired():
                break
            self._progress("sensitivity", done, len(jobs))
            self._distortion[name, place] = next(results).distortion
        self._progress("sensitivity", len(jobs), len(jobs))
        for name, options in self._options.items():
            self._smooth(name, len(options))

    def _saving(self, name: str, place: int) -> int:
        return self._options[name][0].size_bytes - self._options[name][place].size_bytes

    def _smooth(self, name: str, count: int) -> None:
        """Smaller candidates never distort less: evaluation noise must not suggest that they do."""
        highest = 0.0
        for place in range(count):
            highest = max(highest, self._distortion.get((name, place), 1.0 if place else 0.0))
            self._distortion[name, place] = highest

    def _front(self) -> Iterator[Choice]:
        """Plans from largest to smallest: each λ's best choice per tensor."""
        before: tuple[int, ...] = ()
        total = sum(options[0].size_bytes for options in self._options.values())
        for step in range(160):
            weight = total * 10 ** (4 - step / 20)  # bytes that one unit of distortion is worth
            places = tuple(self._cheapest(name, weight) for name in self._options)
            if places != before:
                before = places
                yield {name: self._options[name][p] for name, p in zip(self._options, places, strict=True)}

    def _cheapest(self, name: str, weight: float) -> int:
        options = self._options[name]
        return min(
            range(len(options)),
            key=lambda place: options[place].size_bytes + weight * self._distortion[name, place],
        )

    def _bisect(self, row: Sequence[Choice]) -> None:
        """Measures towards the border between plans that hold the budget and plans that do not."""
        low, high = 0, len(row) - 1
        while low <= high and not self._expired():
            self._progress("bisection", len(row) - (high - low), len(row))
            middle = (low + high) // 2
            point = self._measure(row[middle])
            if self._budget.max_losses:
                smaller = self._budget.keeps(point.measured)
            else:
                smaller = point.size_bytes > (self._budget.max_bytes or 0)
            low, high = (middle + 1, high) if smaller else (low, middle - 1)
        self._progress("bisection", len(row), len(row))

    def _refine(self) -> None:
        """Steps from the best plan: smaller where loss allows it, less distorted where size allows it."""
        rejected: set[tuple[int, ...]] = set()
        improved = True
        while improved and not self._expired():
            improved = False
            best = self._best()
            if best is None:
                return
            key = next(each for each, point in self._known.items() if point is best)
            steps = [each for each in self._steps(key) if each not in rejected]
            for done, step in enumerate(steps):
                if self._expired():
                    return
                self._progress("refinement", done, len(steps))
                choice = {name: self._options[name][p] for name, p in zip(self._options, step, strict=True)}
                self._measure(choice)
                if self._best() is not best:
                    improved = True
                    break
                rejected.add(step)

    def _steps(self, key: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Neighbours of a plan that would be better by size or by predicted distortion, best first."""
        found: list[tuple[float, tuple[int, ...]]] = []
        for at, name in enumerate(self._options):
            for place in range(len(self._options[name])):
                gain = self._options[name][key[at]].size_bytes - self._options[name][place].size_bytes
                cost = self._distortion[name, place] - self._distortion[name, key[at]]
                wanted = gain > 0 if self._budget.max_losses else cost < 0
                if wanted and abs(place - key[at]) <= 2:
                    ratio = gain / max(cost, 1e-6) if self._budget.max_losses else -cost / max(-gain, 1)
                    found.append((-ratio, (*key[:at], place, *key[at + 1 :])))
        return [step for _, step in sorted(found)]

    def _best(self) -> Point | None:
        holding = [each for each in self._points if self._budget.holds(each)]
        if not holding:
            return None
        if self._budget.max_losses:
            return min(holding, key=lambda each: (each.size_bytes, each.measured.distortion))
        return min(holding, key=lambda each: (each.measured.distortion, each.size_bytes))

    def _outcome(self) -> Outcome:
        best = self._best()
        return Outcome(
            best=best,
            nearest=best or self._nearest(),
            front=_front_of(self._points),
            measured=len(self._points),
            complete=not self._expired(),
        )

    def _nearest(self) -> Point:
        """Of the plans within the loss the smallest; where there is none, the least distorted."""
        within = [each for each in self._points if self._budget.keeps(each.measured)]
        if within and self._budget.max_losses:
            return min(within, key=lambda each: each.size_bytes)
        if self._budget.max_bytes is not None:
            return min(self._points, key=lambda each: each.size_bytes)
        return min(self._points, key=lambda each: each.measured.distortion)


def _front_of(points: Sequence[Point]) -> tuple[Point, ...]:
    kept: list[Point] = []
    for each in sorted(points, key=lambda one: (one.size_bytes, one.measured.distortion)):
        if not kept or each.measured.distortion < kept[-1].measured.distortion:
            kept.append(each)
    return tuple(kept)
