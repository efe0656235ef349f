"""An interval holds the truth as often as it says, and a gate takes no number that has no support."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt
import pytest

from pocketrec.errors import DataError, GateFailed, UsageError
from pocketrec.validate.experiments.estimates import (
    INTERVALS,
    Asked,
    Estimate,
    NoEstimate,
    estimate_log,
    estimate_slates,
    normal_interval,
    require_lift,
)
from pocketrec.validate.experiments.propensity import Log, snips
from pocketrec.validate.experiments.support import Limits
from pocketrec.validate.experiments.units import by_unit, standard_error

LOGGED, JUDGED = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.3, 0.6])
CLICKS = np.array([0.1, 0.2, 0.4])
TRUTH = float(JUDGED @ CLICKS)


def log(seed: int, rounds: int = 2000) -> Log:
    """Rounds of three actions with a model that is off by a tenth."""
    rng = np.random.default_rng(seed)
    actions = rng.choice(3, rounds, p=LOGGED)
    return Log(
        rewards=(rng.random(rounds) < CLICKS[actions]).astype(float),
        propensities=LOGGED[actions],
        targets=JUDGED[actions],
        predicted=0.9 * CLICKS[actions],
        expected=np.full(rounds, 0.9 * TRUTH),
    )


def test_the_normal_interval_is_that_of_the_tables() -> None:
    values = np.array([0.0, 1.0, 2.0, 3.0])
    error = np.sqrt(5 / 3) / 2
    assert standard_error(values) == pytest.approx(error)
    assert normal_interval(values, 0.95) == pytest.approx((1.5 - 1.959964 * error, 1.5 + 1.959964 * error))
    assert standard_error(np.ones(1)) == np.inf


@pytest.mark.parametrize("name", ["ips", "snips", "dr", "switch-dr"])
def test_intervals_hold_the_truth_as_often_as_they_say(name: str) -> None:
    """Of 400 logs at 90 %: 360 in the mean, and 4 binomial deviations are 24."""
    held = lifted = 0
    for seed in range(400):
        found = {
            each.estimator: each for each in estimate_log(log(seed), Asked(confidence=0.9, interval="normal"))
        }[name]
        assert isinstance(found, Estimate)
        held += found.low <= TRUTH <= found.high
        lifted += found.lift_low <= TRUTH - float(LOGGED @ CLICKS) <= found.lift_high
    assert abs(held - 360) <= 24
    assert abs(lifted - 360) <= 24


def test_a_units_rounds_count_as_one_where_they_repeat_each_other() -> None:
    """Every round four times over: the estimate stays, and the standard error with units is that of the
    first."""
    single = log(0)
    units = np.tile(np.arange(2000), 4)
    again = Log(
        rewards=np.tile(single.rewards, 4),
        propensities=np.tile(single.propensities, 4),
        targets=np.tile(single.targets, 4),
        units=units,
    )
    one, four, naive = (estimate_log(each)[0] for each in (single, again, replace(again, units=None)))
    assert isinstance(one, Estimate)
    assert isinstance(four, Estimate)
    assert isinstance(naive, Estimate)
    assert four.value == pytest.approx(one.value)
    assert four.standard_error == pytest.approx(one.standard_error)
    assert naive.standard_error == pytest.approx(one.standard_error / 2, rel=1e-3)


def test_units_of_unequal_size_keep_the_mean_of_the_rounds() -> None:
    values = np.array([1.0, 2.0, 3.0, 10.0])
    made = by_unit(values, np.array([5, 5, 5, 7]))
    assert made.tolist() == [4 + (6 - 12) * 2 / 4, 4 + (10 - 4) * 2 / 4]
    assert made.mean() == values.mean()


def test_the_bootstraps_interval_leans_with_the_weights_where_the_normal_one_misses_on_one_side() -> None:
    """Of 300 logs with rare clicks and weights of 12 at 95 %, 15 in the mean miss; 4 deviations are 15."""
    logged, judged, clicks = np.array([0.05, 0.95]), np.array([0.6, 0.4]), np.array([0.05, 0.02])
    truth = float(judged @ clicks)
    low, high = dict.fromkeys(INTERVALS, 0), dict.fromkeys(INTERVALS, 0)
    for seed in range(300):
        rng = np.random.default_rng(seed)
        actions = rng.choice(2, 4000, p=logged)
        values = judged[actions] / logged[actions] * (rng.random(4000) < clicks[actions])
        for name, interval in INTERVALS.items():
            least, most = interval(values, 0.95)
            low[name] += truth < least
            high[name] += truth > most
    assert low["bootstrap"] + high["bootstrap"] <= 30
    assert abs(low["bootstrap"] - high["bootstrap"]) <= 8
    assert high["normal"] > low["normal"] + 10


def test_an_estimate_says_how_its_interval_is_made() -> None:
    for name in INTERVALS:
        found = estimate_log(log(0), Asked(interval=name))[1]
        assert isinstance(found, Estimate)
        interval = INTERVALS[name](snips(log(0).rewards, log(0).weights()), 0.95)
        assert (found.interval, found.low, found.high) == (name, *interval)
    with pytest.raises(UsageError, match="interval is 'exact'; expected one of bootstrap, normal"):
        Asked(interval="exact")


def test_without_a_model_there_is_no_doubly_robust_estimate() -> None:
    given = replace(log(0), predicted=None, expected=None)
    assert [each.estimator for each in estimate_log(given)] == ["ips", "snips"]


def test_an_estimate_without_support_holds_no_number_and_no_gate_takes_it() -> None:
    lacking = replace(log(0), unsupported=np.full(2000, 0.2))
    for found in estimate_log(lacking):
        assert isinstance(found, NoEstimate)
        assert found.reason == "unsupported_actions"
        assert {each.name for each in fields(found)} == {"estimator", "reason", "message", "support"}
        with pytest.raises(
            GateFailed, match=rf"{found.estimator}: no estimate, unsupported_actions: 20.00% of"
        ):
            require_lift(found, -1e9)


def test_values_without_spread_are_refused() -> None:
    found = estimate_log(Log(rewards=np.ones(500), propensities=np.ones(500), targets=np.ones(500)))
    assert [each.reason for each in found if isinstance(each, NoEstimate)] == ["no_spread", "no_spread"]


def test_units_decide_what_is_effective_and_how_far_the_weights_mean_may_be_off() -> None:
    """A unit draws one action for all of its 50 rounds: 40 units are no 2,000 rounds."""
    rng = np.random.default_rng(4)
    actions = np.repeat(rng.choice(3, 40, p=LOGGED), 50)
    given = Log(
        rewards=(rng.random(2000) < CLICKS[actions]).astype(float),
        propensities=LOGGED[actions],
        targets=JUDGED[actions],
        units=np.repeat(np.arange(40), 50),
    )
    found = estimate_log(given)[0]
    assert isinstance(found, NoEstimate)
    assert found.reason == "few_effective_rounds"
    assert 10 < found.support.effective_rounds < 40
    naive = estimate_log(replace(given, units=None))[0]
    assert naive.support.effective_rounds == pytest.approx(50 * found.support.effective_rounds)
    assert naive.support.mean_weight_error < found.support.mean_weight_error / 6


def test_lists_of_actions_that_the_log_never_draws_are_refused() -> None:
    rewards, weights, _ = slates(400)
    found = estimate_slates(rewards, marginal=weights, unsupported=np.full(400, 0.25))
    assert [each.reason for each in found if isinstance(each, NoEstimate)] == ["unsupported_actions"] * 2


def test_weights_that_multiply_beyond_a_double_are_told() -> None:
    with pytest.raises(
        DataError, match="row 1: its weights multiply to more than a number holds; cut the lists"
    ):
        estimate_slates(np.ones((2, 40)), conditional=np.array([[1.0], [1e12]]) * np.ones((2, 40)))


def test_a_least_lift_that_is_no_number_is_told() -> None:
    with pytest.raises(UsageError, match="the least lift is nan; expected a number, such as 0"):
        require_lift(estimate_log(log(0))[0], float("nan"))


def test_a_gate_acts_on_the_lifts_interval() -> None:
    found = {each.estimator: each for each in estimate_log(log(0))}["dr"]
    assert isinstance(found, Estimate)
    assert found.lift == pytest.approx(found.value - log(0).rewards.mean())
    assert require_lift(found, found.lift_low) is found
    with pytest.raises(
        GateFailed, match=r"dr: the lift is 0\.\d+ \(.* at 95%\); expected its interval at or above 1"
    ):
        require_lift(found, 1)


@pytest.mark.parametrize("confidence", [0, 1, 0.9999999, 95, float("nan")])
def test_a_confidence_that_is_no_share_is_refused(confidence: float) -> None:
    with pytest.raises(UsageError, match=f"confidence is {confidence}; expected a share, such as 0.95"):
        Asked(confidence=confidence)


def test_a_clip_that_leaves_no_weight_is_refused() -> None:
    with pytest.raises(UsageError, match="clip is 0; expected a weight above 0"):
        Asked(clip=0)
    with pytest.raises(UsageError, match="threshold is -1; expected a weight above 0"):
        Asked(threshold=-1)


def slates(rounds: int = 3000) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float]:
    """Lists of two positions, drawn by themselves, with a reward by item alone."""
    rng = np.random.default_rng(2)
    actions = rng.choice(3, (rounds, 2), p=LOGGED)
    rewards = (rng.random((rounds, 2)) < CLICKS[actions]).astype(float)
    return rewards, JUDGED[actions] / LOGGED[actions], 2 * TRUTH


def test_slate_estimators_find_the_truth_and_the_bolder_ones_more_tightly() -> None:
    rewards, weights, truth = slates()
    found = estimate_slates(rewards, conditional=weights, marginal=weights)
    errors = {}
    for each in found:
        assert isinstance(each, Estimate)
        assert abs(each.value - truth) < 4 * each.standard_error, each.estimator
        errors[each.estimator] = each.standard_error
    assert errors["iips"] < errors["rips"] < errors["slate-ips"]
    assert errors["pi"] < errors["slate-ips"]


def test_slate_estimators_are_refused_each_by_its_own_weights() -> None:
    rewards, weights, _ = slates(300)
    limits = Limits(effective_rounds=100)
    found = {
        each.estimator: isinstance(each, Estimate)
        for each in estimate_slates(
            rewards, conditional=weights, marginal=weights, asked=Asked(limits=limits)
        )
    }
    assert found == {"slate-ips": False, "rips": False, "iips": True, "pi": True}


def test_slates_without_weights_are_refused() -> None:
    with pytest.raises(UsageError, match="no weights; expected conditional or marginal ones, or both"):
        estimate_slates(np.ones((2, 2)))
