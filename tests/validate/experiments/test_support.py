"""A log that cannot say anything of a policy is refused by name, and one that can is not."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from pocketrec.errors import UsageError
from pocketrec.validate.experiments.support import Limits, effective, measure_support, refusal

RNG = np.random.default_rng(0)
REWARDS = (RNG.random(1000) < 0.2).astype(float)


def test_equal_weights_count_in_full_and_one_large_one_alone() -> None:
    assert effective(np.full(50, 3.0)) == pytest.approx(50)
    assert effective(np.array([1e200, 1, 1])) == pytest.approx(1)
    assert effective(np.array([1.0, 2.0, 3.0])) == pytest.approx(36 / 14)
    assert effective(np.zeros(3)) == 0


def test_the_figures_of_four_weights() -> None:
    found = measure_support(
        np.array([0, 1, 1, 6.0]), np.array([1, 1, 0, 1.0]), clip=4, unsupported=np.full(4, 0.1)
    )
    assert asdict(found) == {
        "rounds": 4,
        "effective_rounds": pytest.approx(64 / 38),
        "effective_rewards": pytest.approx(49 / 37),
        "mean_weight": 2,
        "mean_weight_error": pytest.approx(np.std([0, 1, 1, 6], ddof=1) / 2),
        "max_weight": 6,
        "max_share": 0.75,
        "zero_share": 0.25,
        "clipped_share": 0.25,
        "clipped_mass": 0.25,
        "unsupported": pytest.approx(0.1),
    }


def test_of_several_columns_the_worst_counts() -> None:
    good = np.ones(1000)
    poor = np.where(np.arange(1000) < 10, 100.0, 0.0)
    found = measure_support(np.stack([good, poor], axis=1), REWARDS)
    assert found.effective_rounds == pytest.approx(10)
    assert found.max_weight == 100


def test_a_log_of_the_judged_policy_itself_is_not_refused() -> None:
    assert refusal(measure_support(np.ones(1000), REWARDS), Limits()) is None


def reason(
    weights: np.ndarray[tuple[int], np.dtype[np.float64]], rewards: object = None, **limits: float
) -> str:
    support = measure_support(weights, REWARDS if rewards is None else np.asarray(rewards))
    found = refusal(support, Limits(**limits))
    return "" if found is None else found[0]


def test_each_lack_is_named() -> None:
    one = np.ones(1000)
    assert reason(np.zeros(1000)) == "no_overlap"
    assert reason(np.where(np.arange(1000) < 50, 20.0, 0.0)) == "few_effective_rounds"
    assert reason(one * 1.01) == "weights_not_one"
    assert reason(np.where(RNG.random(1000) < 0.5, 0.5, 1.0)) == "weights_not_one"
    assert reason(one, np.arange(1000) < 9) == "few_effective_rewards"


def test_the_limits_decide() -> None:
    sparse = np.where(np.arange(1000) < 50, 20.0, 0.0)
    assert reason(sparse, effective_rounds=50, effective_rewards=5) == ""
    assert reason(np.ones(1000), np.arange(1000) < 9, effective_rewards=9) == ""


def test_actions_that_the_log_never_draws_are_refused_by_their_share() -> None:
    support = measure_support(np.ones(1000), REWARDS, unsupported=np.full(1000, 0.03))
    found = refusal(support, Limits())
    assert found is not None
    assert found[0] == "unsupported_actions"
    assert found[1].startswith(
        "3.00% of the judged policy's actions are never drawn by the logged one; expected at"
    )
    assert refusal(support, Limits(unsupported=0.05)) is None


def test_weights_that_vary_about_one_are_not_refused() -> None:
    """A right log is refused about once in 16,000 times at 4 standard errors: here in none of 200."""
    for seed in range(200):
        rng = np.random.default_rng(seed)
        actions = rng.random(1000) < 0.4
        assert reason(np.where(actions, 0.6 / 0.4, 0.4 / 0.6)) == "", seed


def test_a_log_whose_policy_lacks_a_tenth_of_the_judged_ones_actions_shows_in_the_mean() -> None:
    rng = np.random.default_rng(1)
    actions = rng.random(20_000) < 0.5
    support = measure_support(np.where(actions, 0.6 / 0.5, 0.3 / 0.5), np.ones(20_000))
    found = refusal(support, Limits())
    assert found is not None
    assert found[0] == "weights_not_one"
    assert "expected 1 within 4 standard errors" in found[1]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"effective_rounds": 0}, "effective_rounds is 0; expected 2 or more: below, no log is refused"),
        ({"effective_rewards": float("nan")}, "effective_rewards is nan; expected 1 or more"),
        ({"weight_errors": float("inf")}, "weight_errors is inf; expected 1 or more"),
        ({"unsupported": 1}, "unsupported is 1; expected a share from 0 to below 1"),
    ],
)
def test_limits_that_refuse_nothing_are_told(limits: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Limits(**limits)
