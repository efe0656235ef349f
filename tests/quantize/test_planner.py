"""The search: it finds the small plan within the loss, says when there is none, and stops when told."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pocketrec.quantize.candidates import Bytes, Candidate, candidates, codes_alone, undominated
from pocketrec.quantize.planner import Budget, Measured, Outcome, Search, cost_of_distortion
from pocketrec.quantize.schemes import Scheme
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.palette import Palette
from pocketrec.quantize.schemes.product import Product
from pocketrec.quantize.tensor import QuantizedTensor
from pocketrec.quantize.usage import Usage

MakeTable = Callable[..., npt.NDArray[np.float32]]

# Three tensors; bytes and loss of each choice. "hot" is sensitive, "cold" is not.
WIDE, NARROW, TINY = Linear(bits=8), Linear(bits=4), Palette(bits=1)
BYTES = {None: 400, WIDE: 100, NARROW: 50, TINY: 10}
LOSS = {
    "hot": {None: 0.0, WIDE: 0.001, NARROW: 0.02, TINY: 0.5},
    "cold": {None: 0.0, WIDE: 0.0001, NARROW: 0.0005, TINY: 0.002},
    "flat": {None: 0.0, WIDE: 0.0, NARROW: 0.0, TINY: 0.0},
}


def options(*names: str) -> dict[str, list[Candidate]]:
    return {
        name: [
            Candidate(scheme=each, size_bytes=size, noise=10 ** (-size / 20)) for each, size in BYTES.items()
        ]
        for name in names
    }


def measure_all(plans: Sequence[Mapping[str, Scheme]]) -> Iterator[Measured]:
    for plan in plans:
        loss = sum(LOSS[name][scheme] for name, scheme in plan.items())  # type: ignore[index, misc]
        yield Measured(losses={"ndcg@10": loss}, distortion=loss)


def search(budget: Budget, *, calls: int | None = None) -> Outcome:
    left = [calls if calls is not None else 10**9]

    def counted(plans: Sequence[Mapping[str, Scheme]]) -> Iterator[Measured]:
        for each in measure_all(plans):
            left[0] -= 1
            yield each

    return Search(
        options("hot", "cold", "flat"), counted, budget, time_left=lambda: left[0] / (calls or 10**9)
    ).run()


def test_the_smallest_plan_within_the_loss_is_found() -> None:
    outcome = search(Budget(max_losses={"ndcg@10": 0.004}))
    assert outcome.best is not None
    assert outcome.complete
    assert outcome.best.plan.tensors == {"hot": WIDE, "cold": TINY, "flat": TINY}
    assert outcome.best.size_bytes == 120


def test_the_plan_of_least_loss_within_the_size_is_found() -> None:
    outcome = search(Budget(max_bytes=200, max_losses={}))
    assert outcome.best is not None
    assert outcome.best.size_bytes <= 200
    assert outcome.best.measured.losses["ndcg@10"] == pytest.approx(0.0015)


def test_what_has_limits_of_its_own_is_within_each() -> None:
    """Halves of all bytes are limited; where both are held to the smaller limit, the plan is smaller."""
    sizes = []
    for limits in ((60, 250), (60, math.inf), (60, 60)):
        tables = {
            name: [replace(each, limited=(each.size_bytes // 4, each.size_bytes)) for each in found]
            for name, found in options("hot", "cold", "flat").items()
        }
        best = Search(tables, measure_all, Budget(max_limited=limits, max_losses={})).run().best
        assert best is not None
        assert all(size <= limit for size, limit in zip(best.limited, limits, strict=True))
        sizes.append(best.size_bytes)
    assert sizes == [210, 210, 30]


def test_where_nothing_is_limited_nothing_but_the_ends_is_measured() -> None:
    outcome = search(Budget(max_losses={}))
    assert outcome.best is not None
    assert (outcome.best.plan.tensors, outcome.measured) == ({}, 2)


def test_an_impossible_budget_gives_the_nearest_plan_and_its_cost() -> None:
    outcome = search(Budget(max_bytes=60, max_losses={"ndcg@10": 0.004}))
    assert outcome.best is None
    assert outcome.nearest.size_bytes == 120
    assert outcome.nearest.measured.losses["ndcg@10"] == pytest.approx(0.003)


def test_time_that_runs_out_leaves_the_best_so_far() -> None:
    outcome = search(Budget(max_losses={"ndcg@10": 0.004}), calls=2)
    assert not outcome.complete
    assert outcome.best is not None
    assert outcome.best.plan.tensors == {}
    assert outcome.measured == 2


def test_without_time_a_size_is_filled_and_not_undercut() -> None:
    """By the candidates' noise alone, which takes no data."""
    outcome = search(Budget(max_bytes=620, max_losses={}), calls=2)
    assert not outcome.complete
    assert outcome.best is not None
    assert outcome.best.size_bytes == 600
    assert outcome.measured == 3
    smallest = search(Budget(max_bytes=30, max_losses={}), calls=2).best
    assert smallest is not None
    assert smallest.size_bytes == 30
    assert search(Budget(max_bytes=29, max_losses={}), calls=2).best is None


def test_of_a_large_tensor_every_candidate_is_measured_and_noise_does_not_choose() -> None:
    """What seems the noisiest of three equally small forms distorts least."""
    good, seeming, small = Palette(bits=2), Palette(bits=3), Palette(bits=1)
    distortion = {None: 0.0, good: 0.1, seeming: 0.4, small: 0.9}
    noise = {None: 0.0, good: 0.5, seeming: 0.1, small: 0.9}
    size = {None: 400, seeming: 51, good: 50, small: 10}
    found = [Candidate(scheme=each, size_bytes=size[each], noise=noise[each]) for each in size]

    def measure(plans: Sequence[Mapping[str, Scheme]]) -> Iterator[Measured]:
        for plan in plans:
            moved = max((distortion[each] for each in plan.values()), default=0.0)  # type: ignore[index]
            yield Measured(losses={"ndcg@10": moved}, distortion=moved)

    best = Search({"table": found}, measure, Budget(max_bytes=60, max_losses={})).run().best
    assert best is not None
    assert best.plan.tensors == {"table": good}


def test_few_rows_choose_what_all_rows_are_asked_for() -> None:
    """Every answer is measured on all rows, and what few rows say is worse is not."""
    asked: dict[str, list[Mapping[str, Scheme]]] = {"all": [], "few": []}

    def counted(which: str) -> Callable[[Sequence[Mapping[str, Scheme]]], Iterator[Measured]]:
        def measure(plans: Sequence[Mapping[str, Scheme]]) -> Iterator[Measured]:
            for plan, each in zip(plans, measure_all(plans), strict=True):
                asked[which].append(plan)
                yield each

        return measure

    for budget in (Budget(max_bytes=200, max_losses={}), Budget(max_losses={"ndcg@10": 0.004})):
        names = ("hot", "cold", "flat")
        alone = Search(options(*names), counted("all"), budget).run()
        without = len(asked["all"])
        asked["all"].clear()
        outcome = Search(options(*names), counted("all"), budget, sense_all=counted("few")).run()
        assert outcome.best is not None
        assert alone.best is not None
        assert outcome.best.plan == alone.best.plan
        assert outcome.best.plan.tensors in asked["all"]
        assert len(asked["all"]) < without
        assert asked["few"]
        asked["all"].clear()
        asked["few"].clear()


def test_more_time_never_gives_a_larger_plan() -> None:
    sizes = []
    for calls in range(2, 40, 3):
        best = search(Budget(max_losses={"ndcg@10": 0.004}), calls=calls).best
        assert best is not None
        sizes.append(best.size_bytes)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1]


def test_no_plan_of_the_front_is_beaten_by_another() -> None:
    front = search(Budget(max_losses={"ndcg@10": 0.004})).front
    assert len(front) >= 3
    sizes = [each.size_bytes for each in front]
    distortions = [each.measured.distortion for each in front]
    assert sizes == sorted(sizes)
    assert distortions == sorted(distortions, reverse=True)


def test_a_plan_that_gives_nan_never_holds_a_budget() -> None:
    def broken(plans: Sequence[Mapping[str, Scheme]]) -> Iterator[Measured]:
        for plan in plans:
            loss = float("nan") if plan else 0.0
            yield Measured(losses={"ndcg@10": loss}, distortion=1.0 if plan else 0.0)

    outcome = Search(options("hot"), broken, Budget(max_losses={"ndcg@10": 0.1})).run()
    assert outcome.best is not None
    assert outcome.best.plan.tensors == {}


@pytest.mark.parametrize("broken", [WIDE, NARROW, TINY])
def test_a_form_that_gives_nan_hides_no_other(broken: Scheme) -> None:
    def measure(plans: Sequence[Mapping[str, Scheme]]) -> Iterator[Measured]:
        for plan, each in zip(plans, measure_all(plans), strict=True):
            nan = broken in plan.values()
            yield Measured(losses={"ndcg@10": float("nan")}, distortion=float("nan")) if nan else each

    budgets = Budget(max_losses={"ndcg@10": 0.03}), Budget(max_bytes=320, max_losses={})
    for budget in budgets:
        for sense in (None, measure):
            best = Search(options("hot", "cold", "flat"), measure, budget, sense_all=sense).run().best
            assert best is not None
            assert broken not in best.plan.tensors.values()
            assert len(best.plan.tensors) == 3


def test_a_plan_that_is_only_lucky_is_not_taken() -> None:
    """A small plan seems to cost nothing; by its distortion it must cost a lot."""

    def lucky(plans: Sequence[Mapping[str, Scheme]]) -> Iterator[Measured]:
        for plan in plans:
            distortion = 5 * sum(LOSS[name][scheme] for name, scheme in plan.items())  # type: ignore[index, misc]
            loss = 0.0 if plan == {"cold": TINY} else distortion**2
            yield Measured(losses={"ndcg@10": loss}, distortion=distortion)

    names = ("hot", "cold")
    outcome = Search(options(*names), lucky, Budget(max_losses={"ndcg@10": 0.004**2})).run()
    assert outcome.best is not None
    assert outcome.best.plan.tensors == {"cold": NARROW}


def test_what_distortion_costs_is_fitted_where_metrics_are_not_saturated() -> None:
    def made(distortion: float, loss: float) -> Measured:
        return Measured(losses={"auc": loss}, distortion=distortion)

    points = [made(0, 0), made(0.1, 0.001), made(0.2, 0.004), made(0.9, 0.02), made(0.3, float("nan"))]
    assert cost_of_distortion(points, "auc") == pytest.approx(0.1)
    assert cost_of_distortion([made(0.9, 0.0081)], "auc") == pytest.approx(0.01)
    assert cost_of_distortion([made(0.1, -0.01)], "auc") == 0
    assert cost_of_distortion([], "auc") == 0


def test_two_tensors_are_exchanged_where_no_single_step_fits() -> None:
    """At its size one tensor can only grow where another shrinks."""
    steep: dict[Scheme | None, float] = {None: 0.0, WIDE: 0.001, NARROW: 0.3, TINY: 0.5}

    def measure(plans: Sequence[Mapping[str, Scheme]]) -> Iterator[Measured]:
        for plan in plans:
            total = (
                sum((steep[scheme] if name == "a" else 0.002) ** 2 for name, scheme in plan.items()) ** 0.5
            )
            yield Measured(losses={}, distortion=total)

    outcome = Search(
        options("a", "b"), measure, Budget(max_bytes=BYTES[WIDE] + BYTES[TINY], max_losses={})
    ).run()
    assert outcome.best is not None
    assert outcome.best.plan.tensors == {"a": WIDE, "b": TINY}


@pytest.mark.parametrize(
    ("limits", "expected"), [((60, 60), TINY), ((130, 60), WIDE), ((110, 110), NARROW), ((39, 60), None)]
)
def test_every_limit_of_bytes_holds_though_forms_are_large_in_different_files(
    limits: tuple[int, int], expected: Scheme | None
) -> None:
    """In one file the second form is the large one, in another the first."""
    found = {
        "a": [
            Candidate(scheme=None, size_bytes=400, noise=0.0, limited=(200, 200)),
            Candidate(scheme=WIDE, size_bytes=160, noise=0.01, limited=(120, 40)),
            Candidate(scheme=NARROW, size_bytes=150, noise=0.02, limited=(50, 100)),
            Candidate(scheme=TINY, size_bytes=90, noise=0.1, limited=(40, 50)),
        ]
    }
    costs = {WIDE: 0.01, NARROW: 0.02, TINY: 0.1}

    def measure(plans: Sequence[Mapping[str, Scheme]]) -> Iterator[Measured]:
        for plan in plans:
            yield Measured(losses={}, distortion=costs[plan["a"]] if plan else 0.0)

    outcome = Search(found, measure, Budget(max_limited=limits, max_losses={})).run()
    assert (None if outcome.best is None else outcome.best.plan.tensors["a"]) == expected


def test_candidates_fall_in_size_and_the_first_is_not_compressed(make_table: MakeTable) -> None:
    found = candidates("item.weight", make_table(120, 32))
    assert found[0].scheme is None
    assert found[0].size_bytes == 120 * 32 * 4
    assert len(found) > 15
    sizes = [each.size_bytes for each in found]
    assert sizes == sorted(sizes, reverse=True)
    assert all(each < sizes[0] for each in sizes[1:])


def test_those_in_play_are_beaten_by_none_and_of_nearly_one_size_there_is_one(make_table: MakeTable) -> None:
    found = candidates("item.weight", make_table(120, 32))
    kept = [found[place] for place in undominated(found, [each.noise for each in found], step=0.9)]
    assert 5 < len(kept) < len(found)
    noise = [each.noise for each in kept]
    assert noise == sorted(noise)
    assert all(later.size_bytes <= 0.9 * earlier.size_bytes for earlier, later in pairwise(kept))
    assert not any(
        each.size_bytes <= one.size_bytes and each.noise < one.noise for one in kept for each in found
    )


def test_where_few_rows_count_they_alone_get_the_bits(make_table: MakeTable) -> None:
    """Of a table of which nobody knows what counts no row is a candidate for more bits than another."""
    table = make_table(400, 32)
    few = np.ones(400)
    few[:40] = 500.0
    schemes = {
        known: {
            each.scheme.scheme
            for each in candidates("item.weight", table, usage=usage)
            if each.scheme is not None
        }
        for known, usage in (("few", Usage(popularity=few)), ("nobody", Usage()))
    }
    assert "hot_rows" in schemes["few"]
    assert "hot_rows" not in schemes["nobody"]


def test_a_form_whose_codebooks_are_as_large_as_the_tensor_is_not_fitted(
    make_table: MakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[Product] = []
    fit = Product.fit

    def counted(scheme: Product, *given: Any, **known: Any) -> Any:
        fitted.append(scheme)
        return fit(scheme, *given, **known)

    monkeypatch.setattr(Product, "fit", counted)
    small, large = make_table(64, 32), make_table(2048, 32)
    candidates("mix.weight", small)
    assert fitted
    books = [each.quantize("w", small).codebooks.nbytes for each in [*fitted]]
    assert max(books) < small.nbytes / 2
    fitted.clear()
    candidates("item.weight", large)
    assert {(each.bits, each.width, each.shared) for each in fitted} >= {(8, 4, False), (8, 2, True)}


def test_what_a_target_cannot_carry_is_no_candidate(make_table: MakeTable) -> None:
    def linear_only(tensor: QuantizedTensor) -> Bytes | None:
        return codes_alone(tensor) if tensor.scheme == "linear" else None

    found = candidates("item.weight", make_table(120, 32), bytes_of=linear_only)
    assert {each.scheme.scheme for each in found if each.scheme is not None} == {"linear"}


def test_vectors_are_narrowed_at_most() -> None:
    found = candidates("bias", np.linspace(-1, 1, 64, dtype=np.float32))
    assert [each.size_bytes for each in found] == [256, 128]
