"""The number of units is that of the tables, and an experiment of that size finds its effect as often as
asked."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from pocketrec.errors import UsageError
from pocketrec.validate.experiments.power import Design, Means, Proportions, detectable, plan, units_needed


def test_the_units_are_those_of_r() -> None:
    """`power.prop.test(p1 = .50, p2 = .75, power = .90)` of R's documentation: n = 76.7."""
    assert units_needed(Proportions(baseline=0.5), 0.25, Design(power=0.9)) == pytest.approx(76.7, abs=0.05)


def test_the_effect_is_that_of_r() -> None:
    """`power.prop.test(p1 = .5, power = .90, n = 50)` of R's documentation: p2 = 0.8026."""
    found = detectable(Proportions(baseline=0.5), Design(power=0.9), total=100)
    assert found == pytest.approx(0.3026, abs=5e-5)


def test_the_units_of_means_by_hand() -> None:
    z = NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.8)
    assert units_needed(Means(deviation=1), 0.5, Design()) == pytest.approx(2 * z**2 / 0.25)
    assert units_needed(Means(deviation=1), -0.5, Design()) == pytest.approx(62.791, abs=1e-3)
    # A treatment of three times the control's units: (1 + 1/3) in place of 2.
    assert units_needed(Means(deviation=1), 0.5, Design(ratio=3)) == pytest.approx(4 / 3 * z**2 / 0.25)


def test_an_experiment_of_that_size_finds_the_effect_as_often_as_asked() -> None:
    """Of 4,000 experiments 3,200 in the mean find it, and 200 find one that is not there; 4 deviations."""
    rng = np.random.default_rng(0)
    base, effect, design = 0.1, 0.03, Design(ratio=2)
    made = plan(Proportions(baseline=base), effect, design)
    assert made.treatment == 2 * made.control

    def found(rate: float) -> int:
        a = rng.binomial(made.control, base, 4000) / made.control
        b = rng.binomial(made.treatment, rate, 4000) / made.treatment
        pooled = (a * made.control + b * made.treatment) / (made.control + made.treatment)
        error = np.sqrt(pooled * (1 - pooled) * (1 / made.control + 1 / made.treatment))
        return int((np.abs(b - a) / error > NormalDist().inv_cdf(0.975)).sum())

    assert abs(found(base + effect) - 3200) < 4 * math.sqrt(4000 * 0.8 * 0.2)
    assert abs(found(base) - 200) < 4 * math.sqrt(4000 * 0.05 * 0.95)


def test_how_long_to_run() -> None:
    made = plan(Means(deviation=1), 0.5, Design(), daily_units=10)
    assert (made.control, made.treatment, made.total) == (63, 63, 126)
    assert (made.days, made.weeks) == (13, 2)
    assert plan(Means(deviation=1), 0.5, Design()).days is None


def test_several_treatments_share_the_alpha() -> None:
    one, two = (plan(Means(deviation=1), 0.5, Design(treatments=each)) for each in (1, 2))
    z = NormalDist().inv_cdf(1 - 0.05 / 4) + NormalDist().inv_cdf(0.8)
    assert two.control == math.ceil(2 * z**2 / 0.25) > one.control
    assert two.total == 3 * two.control


@pytest.mark.parametrize("measure", [Proportions(baseline=0.04), Means(deviation=3)], ids=str)
def test_the_detectable_effect_needs_the_units_it_was_asked_for(measure: Proportions | Means) -> None:
    design = Design(treatments=2, ratio=0.5)
    effect = detectable(measure, design, total=20_000)
    assert effect is not None
    assert units_needed(measure, effect, design) == pytest.approx(10_000, rel=1e-6)


def test_too_few_units_find_no_rise_at_all() -> None:
    assert detectable(Proportions(baseline=0.9), Design(), total=20) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Proportions(baseline=0), "the baseline is 0; expected a share, such as 0.05"),
        (lambda: Means(deviation=-1), "the standard deviation is -1; expected a number above 0"),
        (lambda: Design(alpha=5), "alpha is 5; expected a share between 0 and 1"),
        (lambda: Design(power=0.01), "power is 0.01; expected more than alpha, 0.05"),
        (lambda: Design(treatments=0), "0 treatments; expected 1 to 100 beside the control"),
        (lambda: Design(ratio=0), "ratio is 0; expected 0.001 to 1000"),
        (
            lambda: plan(Means(deviation=1), 0, Design()),
            "the effect is 0; expected the smallest that is to be found",
        ),
        (
            lambda: plan(Proportions(baseline=0.5), 0.6, Design()),
            "an effect of 0.6 makes 0.5 to 1.1; expected",
        ),
        (
            lambda: plan(Means(deviation=1), 1, Design(), daily_units=0),
            "0 units a day; expected a number above 0",
        ),
        (lambda: Design(alpha=1e-300), "alpha is 1e-300; expected 1e-09 or more"),
        (
            lambda: plan(Means(deviation=1), 1e-200, Design()),
            "the effect is 1e-200, and needs inf units; expected a larger one",
        ),
        (
            lambda: plan(Means(deviation=1), 0.5, Design(), daily_units=1e-300),
            "126 units at 1e-300 a day take a hundred years",
        ),
        (lambda: detectable(Means(deviation=1), Design(), total=0), "0 units; expected a number above 0"),
    ],
)
def test_what_is_no_experiment_is_told(call: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()  # type: ignore[operator]
