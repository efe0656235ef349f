"""Each estimator gives what its equation gives, what an independent library gives, and the truth on
average."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from pocketrec.errors import DataError
from pocketrec.validate.experiments.propensity import Log, dr, ips, snips, switch_dr

Doubles = npt.NDArray[np.float64]
ACTIONS = 5


def drawn() -> tuple[Log, Doubles, Doubles, npt.NDArray[np.int64]]:
    """60 rounds of 5 actions, the whole distribution of the judged policy, the model, and the actions."""
    rng = np.random.default_rng(3)
    logged, judged = rng.dirichlet(np.ones(ACTIONS), 60), rng.dirichlet(np.ones(ACTIONS), 60)
    actions = rng.integers(0, ACTIONS, 60)
    rewards, model = rng.normal(size=60), rng.normal(size=(60, ACTIONS))
    rows = np.arange(60)
    log = Log(
        rewards=rewards,
        propensities=logged[rows, actions],
        targets=judged[rows, actions],
        predicted=model[rows, actions],
        expected=(judged * model).sum(1),
    )
    return log, judged, model, actions


def values(log: Log) -> dict[str, float]:
    assert log.predicted is not None
    assert log.expected is not None
    given = log.rewards, log.weights()
    model = log.predicted, log.expected
    return {
        "ips": float(ips(*given).mean()),
        "snips": float(snips(*given).mean()),
        "dr": float(dr(*given, *model).mean()),
        "switch": float(switch_dr(*given, *model, threshold=1.5).mean()),
    }


def test_the_estimates_are_those_of_obp() -> None:
    """The numbers are what obp 0.4.1 gives for these arrays (its `estimate_policy_value`)."""
    found = values(drawn()[0])
    assert found["ips"] == pytest.approx(4.766554183659709, abs=1e-9)
    assert found["snips"] == pytest.approx(0.6438876484962347, abs=1e-9)
    assert found["dr"] == pytest.approx(5.611402534886184, abs=1e-9)
    assert found["switch"] == pytest.approx(-0.0319732385582254, abs=1e-9)


def test_the_estimates_are_those_of_loops_over_whole_distributions() -> None:
    log, judged, model, actions = drawn()
    totals, weights = dict.fromkeys(("ips", "dr", "switch"), 0.0), 0.0
    for row, action in enumerate(actions):
        weight = judged[row, action] / log.propensities[row]
        mean = sum(judged[row, each] * model[row, each] for each in range(ACTIONS))
        residual = weight * (log.rewards[row] - model[row, action])
        totals["ips"] += weight * log.rewards[row] / 60
        totals["dr"] += (mean + residual) / 60
        totals["switch"] += (mean + (residual if weight <= 1.5 else 0)) / 60
        weights += weight
    expected = {**totals, "snips": 60 * totals["ips"] / weights}
    assert values(log) == pytest.approx(expected, abs=1e-12)


def test_values_by_hand() -> None:
    rewards, weights = np.array([1.0, 0.0, 2.0]), np.array([2.0, 1.0, 0.5])
    assert ips(rewards, weights).tolist() == [2, 0, 1]
    assert ips(rewards, weights, clip=1.5).tolist() == [1.5, 0, 1]
    assert snips(rewards, weights).mean() == pytest.approx(3 / 3.5)
    predicted, expected = np.array([0.5, 0.5, 1.0]), np.array([1.0, 2.0, 3.0])
    assert dr(rewards, weights, predicted, expected).tolist() == [2, 1.5, 3.5]
    assert switch_dr(rewards, weights, predicted, expected, threshold=1).tolist() == [1, 1.5, 3.5]


def test_switch_dr_lies_between_dr_and_the_model() -> None:
    log, *_ = drawn()
    assert log.predicted is not None
    assert log.expected is not None
    given = log.rewards, log.weights(), log.predicted, log.expected
    np.testing.assert_array_equal(switch_dr(*given, threshold=np.inf), dr(*given))
    np.testing.assert_array_equal(switch_dr(*given, threshold=-1), log.expected)


def test_snips_does_not_see_a_constant_factor_of_the_propensities() -> None:
    log, *_ = drawn()
    double = snips(log.rewards, 2 * log.weights())
    np.testing.assert_allclose(double, snips(log.rewards, log.weights()), atol=1e-12)
    assert ips(log.rewards, 2 * log.weights()).mean() == pytest.approx(2 * values(log)["ips"])


def test_snips_of_no_overlap_is_not_a_number() -> None:
    assert np.isnan(snips(np.ones(3), np.zeros(3))).all()


def test_the_estimators_find_the_judged_policys_value() -> None:
    """Of 40,000 rounds, to 4 standard errors; a log whose propensities are wrong is told by IPS, not by
    DR."""
    rng = np.random.default_rng(11)
    logged, judged = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.3, 0.6])
    clicks = np.array([0.1, 0.2, 0.4])
    actions = rng.choice(3, 40_000, p=logged)
    rewards = (rng.random(40_000) < clicks[actions]).astype(float)
    truth = float(judged @ clicks)
    log = Log(
        rewards=rewards,
        propensities=logged[actions],
        targets=judged[actions],
        predicted=clicks[actions],
        expected=np.full(40_000, truth),
    )
    for name, value in values(log).items():
        assert value == pytest.approx(truth, abs=0.012), name
    wrong = values(replace(log, propensities=np.full(40_000, 1 / 3)))
    assert wrong["ips"] != pytest.approx(truth, abs=0.012)
    assert wrong["dr"] == pytest.approx(truth, abs=0.012)


ONE = np.ones(3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"propensities": np.array([0.5, 0.0, 1.0])},
            "propensities: row 1 is 0.0; expected 1e-12 to 1; correct the log",
        ),
        ({"propensities": np.array([0.5, 1.5, 1.0])}, "row 1 is 1.5; expected 1e-12 to 1"),
        ({"propensities": np.ones(2)}, r"propensities: shape \(2,\); expected \(3,\)"),
        ({"targets": np.array([0.5, -0.1, 1.0])}, "targets: row 1 is -0.1; expected 0 to 1"),
        ({"rewards": np.array([0, np.nan, 1.0])}, "rewards: row 1 is nan; expected -1e\\+100 to 1e\\+100"),
        ({"rewards": np.ones((3, 1))}, r"rewards: shape \(3, 1\); expected one number a round"),
        ({"predicted": ONE}, "predicted without expected; the doubly robust estimators need both"),
        ({"expected": ONE}, "expected without predicted"),
        (
            {"predicted": ONE, "expected": np.array([0, 0, np.inf])},
            "expected: row 2 is inf; expected -1e\\+100 to",
        ),
        ({"unsupported": np.array([0, 2.0, 0])}, "unsupported: row 1 is 2.0; expected 0 to 1"),
        ({"units": np.zeros(2, np.int64)}, r"units: shape \(2,\); expected \(3,\), as the rewards"),
    ],
)
def test_what_is_no_log_is_told_by_array_and_row(change: dict[str, Doubles], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Log(**{"rewards": ONE, "propensities": ONE, "targets": ONE, **change})  # type: ignore[arg-type]
