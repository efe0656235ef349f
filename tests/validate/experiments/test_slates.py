"""Slate estimators give what their equations, an independent library and enumeration give."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest

from pocketrec.validate.experiments.slates import (
    independent_ips,
    pseudoinverse,
    reward_interaction_ips,
    standard_ips,
)

Doubles = npt.NDArray[np.float64]


def drawn() -> tuple[Doubles, Doubles, Doubles]:
    rng = np.random.default_rng(7)
    rewards = rng.integers(0, 2, (40, 3)).astype(float)
    propensities = rng.uniform(0.1, 1, (40, 3))
    return rewards, propensities, rng.uniform(0, 1, (40, 3))


def test_the_estimates_are_those_of_obp() -> None:
    """The numbers are what obp 0.4.1 gives for these arrays."""
    rewards, propensities, targets = drawn()
    weights = targets / propensities
    assert standard_ips(rewards, weights).mean() == pytest.approx(2.4275742989896587, abs=1e-9)
    assert independent_ips(rewards, weights).mean() == pytest.approx(2.1740384364241674, abs=1e-9)
    assert reward_interaction_ips(rewards, weights).mean() == pytest.approx(2.8251494806382462, abs=1e-9)


def test_the_estimates_are_those_of_loops() -> None:
    rewards, propensities, targets = drawn()
    weights = targets / propensities
    for row, (r, w) in enumerate(zip(rewards, weights, strict=True)):
        assert standard_ips(rewards, weights)[row] == pytest.approx(sum(r) * w[0] * w[1] * w[2])
        cascade = r[0] * w[0] + r[1] * w[0] * w[1] + r[2] * w[0] * w[1] * w[2]
        assert reward_interaction_ips(rewards, weights)[row] == pytest.approx(cascade)
        assert independent_ips(rewards, weights)[row] == pytest.approx(sum(r * w))


def test_the_pseudoinverse_is_that_of_the_general_form_where_positions_are_drawn_by_themselves() -> None:
    """q' G⁺ s with G the mean outer product of the logged lists' indicators, over all 27 lists of 3
    actions."""
    rng = np.random.default_rng(5)
    logged, judged = rng.dirichlet(np.ones(3), 3), rng.dirichlet(np.ones(3), 3)
    lists = list(product(range(3), repeat=3))

    def chance(policy: Doubles, slate: tuple[int, ...]) -> float:
        return float(np.prod([policy[place, action] for place, action in enumerate(slate)]))

    def indicator(slate: tuple[int, ...]) -> Doubles:
        return np.eye(3)[list(slate)].reshape(-1)

    gram = sum(chance(logged, each) * np.outer(indicator(each), indicator(each)) for each in lists)
    mean = sum(chance(judged, each) * indicator(each) for each in lists)
    for slate in lists:
        general = float(mean @ np.linalg.pinv(np.asarray(gram)) @ indicator(slate))
        weights = np.array([[judged[place, a] / logged[place, a] for place, a in enumerate(slate)]])
        assert pseudoinverse(np.array([[0, 2.0, 1]]), weights)[0] == pytest.approx(3 * general, abs=1e-9)


@pytest.mark.parametrize(
    ("behaviour", "unbiased"),
    [
        ("independent", {"slate-ips", "rips", "iips", "pi"}),
        ("cascade", {"slate-ips", "rips"}),
        ("whole", {"slate-ips"}),
    ],
)
def test_each_is_unbiased_under_what_it_assumes_and_not_beyond(behaviour: str, unbiased: set[str]) -> None:
    """In expectation over all 8 lists of 2 actions, for rewards that depend on less or more of the list."""
    logged, judged = np.array([0.5, 0.3, 0.8]), np.array([0.9, 0.6, 0.2])  # of action 1, position by position
    truth, found = 0.0, dict.fromkeys(("slate-ips", "rips", "iips", "pi"), 0.0)
    for slate in product((0, 1), repeat=3):
        chosen = np.array(slate) == 1
        p, t = np.where(chosen, logged, 1 - logged), np.where(chosen, judged, 1 - judged)
        rewards = {
            "independent": chosen * np.array([0.5, 0.3, 0.2]),
            "cascade": np.cumprod(1 - 0.7 * chosen) * 0.4,
            "whole": np.full(3, 0.1 + 0.9 * (slate == (1, 0, 1))) * np.array([1.0, 0, 0]),
        }[behaviour][None]
        weights = (t / p)[None]
        truth += t.prod() * rewards.sum()
        for name, function in (
            ("slate-ips", standard_ips),
            ("rips", reward_interaction_ips),
            ("iips", independent_ips),
            ("pi", pseudoinverse),
        ):
            found[name] += p.prod() * function(rewards, weights)[0]
    assert {name for name, value in found.items() if abs(value - truth) < 1e-12} == unbiased
