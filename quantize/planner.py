"""The search for a plan: what to do with each tensor, so that ranking is kept and bytes are few.

    sensitivity   each tensor alone, at two of its candidates or, where it is large, at all of them
                  ─▶ distortion of the ranking
    front         bytes + λ · distortion², least per tensor, for every λ ─▶ a row of plans
    fitting       where a size is asked for: the largest plan of that row within it, filled up
    survey        some plans of that row, measured as a whole ─▶ what distortion costs, per metric
    bisection     the smallest plan of that row whose expected loss is within the budget
    refinement    one tensor a step smaller, or two exchanged, measured jointly, while time lasts

Distortions are taken to add up as independent noise does, in squares (SASRec with all tensors at 4 bits:
0.044 from the tensors alone, 0.045 measured), and only to propose plans; what decides is the joint
measurement. The search is anytime: whenever it stops, the best plan measured so far is the answer. What a
size has room for is therefore measured first, by the candidates' noise alone, which takes no data.

How far a plan moves lists is seen on a few thousand users already, what that costs on all of them alone. So
sensitivities are measured on few rows, and a step of the refinement on all rows where few say it is better.

A metric of a thousand users is noisy: of a hundred plans that cost too much, some seem to cost nothing,
and on other users they do not. So the loss that a distortion is expected to cost is fitted over the
survey, and the budget must hold for what was measured, and for the mean of measured and expected.

Between the candidates that are measured, distortion is taken as proportional to the amplitude of the
noise, with a factor per tensor; what is not measured gets the median factor of those that are.

Lagrangian allocation: Shoham and Gersho (1988), "Efficient bit allocation for an arbitrary set of
quantizers".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pocketrec.progress import Progress, silent
from pocketrec.quantize.candidates import Candidate, schemes_of, undominated
from pocketrec.quantize.plan import Plan
from pocketrec.quantize.schemes import Scheme

Choice = Mapping[str, Candidate]
Schemes = Mapping[str, Scheme]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a plan costs on the evaluation data.

    Attributes:
        losses: metric name to how much worse it is than the original's; NaN where it broke.
        distortion: how far the ranking moved, 0 where it did not, growing as the amplitude of noise
            does: 1 less the top-k overlap, or √(1 - ρ²) for the rank correlation ρ of scores.
        errors: metric name to the standard error of its loss; without those where nobody knows.
    """

    losses: Mapping[str, float]
    distortion: float
    errors: Mapping[str, float] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether the plan gives numbers; one that does not is no answer, however small."""
        return math.isfinite(self.distortion)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a plan must hold.

    Attributes:
        max_bytes: of all tensors together; None where size is what is minimized.
        max_limited: of all tensors together, for each of `Candidate.limited`; infinite where none is stated.
        max_losses: metric name to the largest loss; empty where loss is what is minimized.
    """

    max_bytes: int | None = None
    max_limited: tuple[float, ...] = ()
    max_losses: Mapping[str, float]

    def keeps(self, measured: Measured) -> bool:
        """Whether every loss is within its limit, and lists are made at all."""
        return measured.whole and all(measured.losses[name] <= most for name, most in self.max_losses.items())

    def holds(self, point: Point) -> bool:
        """Whether a plan is within size and loss."""
        return self.has_room(point.size_bytes, point.limited) and self.keeps(point.measured)

    def has_room(self, size_bytes: int, limited: Sequence[int]) -> bool:
        """Whether all tensors together are within every limit of bytes."""
        whole = self.max_bytes is None or size_bytes <= self.max_bytes
        return whole and all(size <= most for size, most in zip(limited, self.max_limited, strict=True))

    @property
    def sized(self) -> bool:
        """Whether there is a limit of bytes."""
        return self.max_bytes is not None or any(map(math.isfinite, self.max_limited))


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A plan that was measured as a whole; its bytes count tensors left in float32 too."""

    plan: Plan
    size_bytes: int
    measured: Measured
    limited: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a search found.

    Attributes:
        best: the plan that holds the budget; None where none was found.
        nearest: `best`, else the plan that comes nearest to the budget.
        front: plans that no other measured plan beats in both bytes and distortion, and `best`, smallest
            first.
        measured: how many plans were measured.
        complete: False where time ran out.
    """

    best: Point | None
    nearest: Point
    front: tuple[Point, ...]
    measured: int
    complete: bool


_FOR_JOINT_MEASUREMENTS = 0.5  # share of the time that sensitivity leaves
_LARGE = 0.1  # share of all bytes in a tensor whose every candidate is measured
_STEP = 0.9  # of sizes, below which two candidates are told apart by noise alone
_WORTH_MEASURING = 0.002  # share of all bytes that a tensor must be able to save
_SURVEYED = 16  # plans of the row that are measured
_NEGLIGIBLE = 0.002  # distortion that is expected to cost nothing: two of a thousand places in lists
_BROKEN = 2.0  # stands for the distortion of what gives no numbers; that of what gives some is at most 1
_SATURATED = 0.5  # distortion beyond which a metric has little left to lose
_LEAST_GAIN = 0.002  # share of a plan's bytes that a step must save, where bytes are what is saved
_NEIGHBOURS = 64  # of a plan that are measured before the search says that none is better
MeasureAll = Callable[[Sequence[Schemes]], Iterator[Measured]]


class Search:
    """One search; `run` gives its outcome.

    Args:
        options: per tensor its candidates, largest first; the first leaves it in float32.
        measure_all: measures plans, in order, as an iterator, so that a search can stop early.
        budget: what the plan must hold.
        sense_all: the same on few rows, whose distortions are nearly those of all; None where there are few.
        time_left: the share of the time that is left, 1 at first; 0 or less where it has run out.
        progress: told what is being done, how far, and how far there is.
    """

    def __init__(
        self,
        options: Mapping[str, Sequence[Candidate]],
        measure_all: MeasureAll,
        budget: Budget,
        *,
        sense_all: MeasureAll | None = None,
        time_left: Callable[[], float] = lambda: 1.0,
        progress: Progress = silent,
    ) -> None:
        self._options, self._measure_all, self._budget = options, measure_all, budget
        self._sense_all = sense_all
        self._time_left, self._progress = time_left, progress
        self._points: list[Point] = []
        self._known: dict[tuple[int, ...], Point] = {}
        self._distortion: dict[tuple[str, int], float] = {}
        self._places: dict[str, tuple[int, ...]] = {}  # of the candidates in play, largest first
        self._felt: dict[tuple[int, ...], float] = {}
        self._costs: Mapping[str, float] | None = None

    def run(self) -> Outcome:
        """The outcome; at least the uncompressed and the smallest plan have been measured."""
        self._measure({name: options[0] for name, options in self._options.items()})
        self._measure({name: options[-1] for name, options in self._options.items()})
        for name in self._options:
            self._predict(name, {}, 1.0)
        self._fit()
        if (self._budget.sized or self._budget.max_losses) and not self._expired():
            self._sensitivity()
            self._fit()
            row = list(self._front())
            self._survey(row)
            self._bisect(row)
            self._refine()
        return self._outcome()

    def _fit(self) -> None:
        """Measures the plan of least expected distortion that is within the size, where one is asked for."""
        if not self._budget.sized:
            return
        key = next((each for each in map(self._key, self._front()) if self._fits(each)), None)
        if key is not None:
            self._measure(self._choice(self._filled(key)))

    def _filled(self, key: tuple[int, ...]) -> tuple[int, ...]:
        """The plan with tensors larger where that is expected to distort less, while there is room."""
        while True:
            single = [move for at in range(len(key)) for move in self._moves(key, at)]
            larger = [(cost, _moved(key, moved)) for _, cost, moved in single if cost < 0]
            steps = [each for each in larger if self._fits(each[1])]
            if not steps:
                return key
            _, key = min(steps, key=lambda each: each[0])

    def _measure(self, choice: Choice) -> Point:
        key = self._key(choice)
        if key not in self._known:
            schemes = schemes_of(choice)
            point = Point(
                plan=Plan(tensors=schemes),
                size_bytes=sum(each.size_bytes for each in choice.values()),
                limited=_limited(choice),
                measured=next(iter(self._measure_all([schemes]))),
            )
            self._known[key] = point
            self._points.append(point)
        return self._known[key]

    def _expired(self) -> bool:
        return self._time_left() <= 0

    def _sensitivity(self) -> None:
        """The distortion of every candidate alone, measured at the anchors and predicted between them."""
        anchors = {(name, place) for name in self._options for place in self._anchors(name)}
        more = {(name, place) for name in self._options if self._large(name) for place in self._all(name)}
        # What time cuts off matters least.
        jobs = sorted(anchors | more, key=lambda job: (job not in anchors, -self._saving(*job), job))
        sense = self._sense_all or self._measure_all
        results = sense([schemes_of({n: self._options[n][p]}) for n, p in jobs])
        measured: dict[str, dict[int, float]] = {name: {} for name in self._options}
        for done, (name, place) in enumerate(jobs):
            if self._time_left() <= _FOR_JOINT_MEASUREMENTS:
                break
            self._progress("sensitivity", done, len(jobs))
            measured[name][place] = _finite(next(results).distortion)
        self._progress("sensitivity", len(jobs), len(jobs))
        factors = [
            distortion / self._noise(name, place)
            for name, found in measured.items()
            for place, distortion in found.items()
        ]
        usual = float(np.median(factors)) if factors else 1.0
        for name, found in measured.items():
            self._predict(name, found, usual)

    def _anchors(self, name: str) -> set[int]:
        """The candidates to measure: the smallest, and the middle one; none where little can be saved."""
        options, places = self._options[name], self._places[name]
        if len(options) < 2 or self._saving(name, len(options) - 1) < _WORTH_MEASURING * self._total:
            return set()
        return {len(options) - 1, places[len(places) // 2]} - {0}

    def _large(self, name: str) -> bool:
        """Whether what becomes of the tensor decides on the size, so that noise alone must not choose."""
        return self._options[name][0].size_bytes >= _LARGE * self._total

    def _all(self, name: str) -> range:
        return range(1, len(self._options[name]))

    @property
    def _total(self) -> int:
        return sum(options[0].size_bytes for options in self._options.values())

    def _saving(self, name: str, place: int) -> int:
        return self._options[name][0].size_bytes - self._options[name][place].size_bytes

    def _noise(self, name: str, place: int) -> float:
        return self._options[name][place].noise or 1e-12

    def _predict(self, name: str, measured: Mapping[int, float], usual: float) -> None:
        """Distortions of all candidates, and those in play: the ones that none beats in size and distortion.

        Of a large tensor all are measured; of others few, and two of nearly one size are not told apart.
        """
        options, places = self._options[name], sorted(measured)
        known = [measured[place] / self._noise(name, place) for place in places]
        found = [0.0]
        for place in self._all(name):
            factor = float(np.interp(place, places, known)) if places else usual
            found.append(measured.get(place, factor * self._noise(name, place)))
        self._distortion.update({(name, place): each for place, each in enumerate(found)})
        step = 1.0 if self._large(name) else _STEP
        self._places[name] = undominated(options, found, step=step)

    def _front(self) -> Iterator[Choice]:
        """Plans from largest to smallest: each λ's best choice per tensor."""
        before: tuple[int, ...] = ()
        for step in range(160):
            weight = self._total * 10 ** (8 - step / 16)  # bytes that one unit of squared distortion is worth
            places = tuple(self._cheapest(name, weight) for name in self._options)
            if places != before:
                before = places
                yield self._choice(places)

    def _cheapest(self, name: str, weight: float) -> int:
        options = self._options[name]
        return min(
            self._places[name],
            key=lambda place: options[place].size_bytes + weight * self._distortion[name, place] ** 2,
        )

    def _bisect(self, row: Sequence[Choice]) -> None:
        """Measures towards the border between plans that hold the loss and plans that do not."""
        limits = self._budget.max_losses
        if not limits:
            return
        low, high = 0, len(row) - 1
        while low <= high and not self._expired():
            self._progress("bisection", len(row) - (high - low), len(row))
            middle = (low + high) // 2
            point = self._measure(row[middle])
            smaller = all(self._expected(name, point) <= limits[name] for name in limits)
            low, high = (middle + 1, high) if smaller else (low, middle - 1)
        self._progress("bisection", len(row), len(row))

    def _survey(self, row: Sequence[Choice]) -> None:
        """Measures plans over the whole row, to learn from all of them what a distortion costs."""
        if not self._budget.max_losses:
            return
        places = np.unique(np.linspace(0, len(row) - 1, _SURVEYED).astype(int)) if row else ()
        for done, at in enumerate(places):
            if self._expired():
                break
            self._progress("survey", done, len(places))
            self._measure(row[at])
        measured = [each.measured for each in self._points]
        self._costs = {name: cost_of_distortion(measured, name) for name in self._budget.max_losses}

    def _key(self, choice: Choice) -> tuple[int, ...]:
        return tuple(self._options[name].index(each) for name, each in choice.items())

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
                if self._promising(step, key):
                    self._measure(self._choice(step))
                    if self._best() is not best:
                        improved = True
                        break
                rejected.add(step)

    def _promising(self, step: tuple[int, ...], best: tuple[int, ...]) -> bool:
        """Whether a plan may be better than the best so far, as far as few rows say."""
        if self._sense_all is None:
            return True
        sensed = [self._sensed(each) for each in (step, best)]
        if not self._budget.max_losses:
            return sensed[0] < sensed[1]
        return all(
            self._costs is not None and self._costs[name] * sensed[0] ** 2 <= 2 * limit
            for name, limit in self._budget.max_losses.items()
        )

    def _sensed(self, key: tuple[int, ...]) -> float:
        """The distortion on few rows."""
        if key not in self._felt:
            assert self._sense_all is not None
            sensed = next(iter(self._sense_all([schemes_of(self._choice(key))])))
            self._felt[key] = _finite(sensed.distortion)
        return self._felt[key]

    def _choice(self, key: tuple[int, ...]) -> Choice:
        return {name: self._options[name][p] for name, p in zip(self._options, key, strict=True)}

    def _steps(self, key: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Neighbours of a plan that would be better by size or by predicted distortion, best first.

        One tensor a step or two away; or two tensors, one smaller and the other larger.
        """
        single = [move for at in range(len(key)) for move in self._moves(key, at)]
        pairs = [
            (gain + other_gain, cost + other_cost, {**moved, **other_moved})
            for gain, cost, moved in single
            for other_gain, other_cost, other_moved in single
            if gain > 0 > other_gain and not moved.keys() & other_moved.keys()
        ]
        least_gain = _LEAST_GAIN * self._size(key)
        found: list[tuple[float, tuple[int, ...]]] = []
        for gain, cost, moved in (*single, *pairs):
            if self._budget.max_losses:
                wanted, ratio = gain >= least_gain, gain / max(cost, 1e-9)
            else:
                wanted, ratio = cost < 0 and self._fits(_moved(key, moved)), -cost
            if wanted:
                found.append((-ratio, _moved(key, moved)))
        return [step for _, step in sorted(found)[:_NEIGHBOURS]]

    def _moves(self, key: tuple[int, ...], at: int) -> Iterator[tuple[int, float, dict[int, int]]]:
        """Bytes that are saved, squared distortion that is added, and the tensor's new place."""
        name = list(self._options)[at]
        options, now, places = self._options[name], key[at], self._places[name]
        larger, smaller = [each for each in places if each < now], [each for each in places if each > now]
        for place in (*larger[-2:], *smaller[:2]):
            cost = self._distortion[name, place] ** 2 - self._distortion[name, now] ** 2
            yield options[now].size_bytes - options[place].size_bytes, cost, {at: place}

    def _fits(self, key: tuple[int, ...]) -> bool:
        return self._budget.has_room(self._size(key), _limited(self._choice(key)))

    def _size(self, key: tuple[int, ...]) -> int:
        return sum(each.size_bytes for each in self._choice(key).values())

    def _holds(self, point: Point) -> bool:
        return self._budget.holds(point) and all(
            (max(0.0, point.measured.losses[name]) + self._expected(name, point)) / 2 <= limit
            for name, limit in self._budget.max_losses.items()
        )

    def _expected(self, name: str, point: Point) -> float:
        """The loss that the plan's distortion is expected to cost; infinite before the survey."""
        if point.measured.distortion <= _NEGLIGIBLE:
            return 0.0
        if self._costs is None:
            return float("inf")
        return self._costs[name] * point.measured.distortion**2

    def _best(self) -> Point | None:
        holding = [each for each in self._points if self._holds(each)]
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
            front=_front_of(self._points, best),
            measured=len(self._points),
            complete=not self._expired(),
        )

    def _nearest(self) -> Point:
        """Of the plans within the loss the smallest; where there is none, the least distorted."""
        within = [each for each in self._points if self._budget.keeps(each.measured)]
        if within and self._budget.max_losses:
            return min(within, key=lambda each: each.size_bytes)
        if self._budget.sized:
            whole = [each for each in self._points if each.measured.whole]
            return min(whole or self._points, key=lambda each: each.size_bytes)
        return min(self._points, key=lambda each: _finite(each.measured.distortion))


def _moved(key: tuple[int, ...], moved: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(moved.get(at, place) for at, place in enumerate(key))


def _limited(choice: Choice) -> tuple[int, ...]:
    return tuple(map(sum, zip(*(each.limited for each in choice.values()), strict=True)))


def _finite(distortion: float) -> float:
    return distortion if math.isfinite(distortion) else _BROKEN


def cost_of_distortion(measured: Sequence[Measured], metric: str) -> float:
    """The factor of loss = factor · distortion², by least squares; 0 where distortion costs nothing.

    On SASRec, a two-tower model and DLRM, loss / distortion² stays between 0.04 and 0.2 from a distortion
    of 0.06 to one of 0.6, while losses grow a hundredfold.
    """
    pairs = np.array([(each.distortion, each.losses[metric]) for each in measured]).reshape(-1, 2)
    known = pairs[np.isfinite(pairs).all(axis=1) & (pairs[:, 0] > 0)]
    unsaturated = known[known[:, 0] <= _SATURATED]
    distortion, loss = (unsaturated if len(unsaturated) else known).T
    # Weights of 1 / distortion, as the variance of a loss grows with distortion.
    return max(0.0, float((distortion * loss).sum() / max((distortion**3).sum(), 1e-30)))


def _front_of(points: Sequence[Point], best: Point | None) -> tuple[Point, ...]:
    """The plans that no other beats; and the best, which losses chose and distortion may not."""
    kept: list[Point] = []
    whole = [each for each in points if each.measured.whole]
    for each in sorted(whole, key=lambda one: (one.size_bytes, one.measured.distortion)):
        if not kept or each.measured.distortion < kept[-1].measured.distortion:
            kept.append(each)
    if best is not None and best not in kept:
        kept = sorted([*kept, best], key=lambda one: one.size_bytes)
    return tuple(kept)
