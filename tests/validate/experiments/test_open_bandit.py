"""On the Open Bandit logs the estimates are those of obp 0.4.1; not run where POCKETREC_DATA is absent.

The log is that of Bernoulli Thompson sampling, the policy to judge is the uniform one, whose own log is
there, too. The model for DR is the smoothed click rate of each item in the uniform log. Data: Saito, Aihara,
Matsutani & Narita, "Open Bandit Dataset and Pipeline", 2021.
"""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from pocketrec.validate.experiments.estimates import Asked, Estimate, NoEstimate, estimate_log
from pocketrec.validate.experiments.propensity import Log, dr, ips, snips, switch_dr
from pocketrec.validate.experiments.support import measure_support

ITEMS = {"all": 80, "men": 34, "women": 46}
# What obp's IPW, SNIPW, DR and SwitchDR (tau=10) give.
OBP = {
    "all": (0.0023596395168460037, 0.002333713893161806, 0.0021737282550935845, 0.0039749731359669865),
    "men": (0.003008626327256482, 0.0031894231622774027, 0.003261826780757687, 0.004661905615859785),
    "women": (0.00743757754192316, 0.0023730461434477677, 0.002416149347840745, 0.00400893208027226),
}
Doubles = npt.NDArray[np.float64]


def read(policy: str, campaign: str) -> dict[str, Doubles]:
    place = Path(os.environ.get("POCKETREC_DATA", "nowhere")) / "open-bandit" / f"{policy}_{campaign}.csv.gz"
    if not place.is_file():
        pytest.skip("not run: POCKETREC_DATA names no folder with open-bandit")
    with gzip.open(place, "rt") as file:
        rows = list(csv.DictReader(file))
    names = ("item_id", "click", "propensity_score")
    return {name: np.array([float(row[name]) for row in rows]) for name in names}


@pytest.fixture(scope="module", params=ITEMS)
def campaign(request: pytest.FixtureRequest) -> tuple[str, Log, float]:
    """A campaign's name, its log with the uniform policy's probabilities, and that policy's own click
    rate."""
    name = str(request.param)
    log, uniform, items = read("bts", name), read("random", name), ITEMS[name]
    ids = uniform["item_id"].astype(int)
    clicks, shows = np.bincount(ids, uniform["click"], items), np.bincount(ids, minlength=items)
    model = (clicks + 1) / (shows + 200)
    rounds = len(log["click"])
    made = Log(
        rewards=log["click"],
        propensities=log["propensity_score"],
        targets=np.full(rounds, 1 / items),
        predicted=model[log["item_id"].astype(int)],
        expected=np.full(rounds, model.mean()),
    )
    return name, made, float(uniform["click"].mean())


def test_the_estimates_are_those_of_obp(campaign: tuple[str, Log, float]) -> None:
    name, log, _ = campaign
    assert log.predicted is not None
    assert log.expected is not None
    given = log.rewards, log.weights()
    model = log.predicted, log.expected
    found = ips(*given), snips(*given), dr(*given, *model), switch_dr(*given, *model, threshold=10)
    assert [float(each.mean()) for each in found] == pytest.approx(OBP[name], abs=1e-9)


def test_the_weights_say_which_log_supports_an_estimate(campaign: tuple[str, Log, float]) -> None:
    """Of 10,000 rounds each; a weight of the women is 21,739, and the clicks of all weigh as much as 7."""
    name, log, own = campaign
    support = measure_support(log.weights(), log.rewards)
    expected = {"all": (340.4, 277.8, 1.011), "men": (655.7, 178.3, 0.943), "women": (2.08, 21739, 3.134)}
    found = (support.effective_rounds, support.max_weight, support.mean_weight)
    assert found == pytest.approx(expected[name], rel=2e-3)
    reasons = {"all": "few_effective_rewards", "women": "few_effective_rounds"}
    for each in estimate_log(log, Asked(interval="normal"))[:2]:
        if name in reasons:
            assert isinstance(each, NoEstimate)
            assert each.reason == reasons[name]
        else:
            assert isinstance(each, Estimate)
            error = np.hypot(each.standard_error, np.sqrt(own * (1 - own) / 10_000))
            assert abs(each.value - own) < 2 * error


def test_the_uniform_log_supports_a_policy_near_to_it(campaign: tuple[str, Log, float]) -> None:
    """That takes the even items a half more often: the estimate is near to those items' own click rates."""
    name, *_ = campaign
    uniform, items = read("random", name), ITEMS[name]
    even = uniform["item_id"] % 2 == 0
    evens = (items + 1) // 2
    chances = np.where(even, 0.6 / evens, 0.4 / (items - evens))
    log = Log(rewards=uniform["click"], propensities=uniform["propensity_score"], targets=chances)
    truth = 0.6 * uniform["click"][even].mean() + 0.4 * uniform["click"][~even].mean()
    for each in estimate_log(log, Asked(interval="normal")):
        assert isinstance(each, Estimate), each
        assert abs(each.value - truth) < each.standard_error
