"""Platt's scaling finds the slope and shift that logits were bent by, and is not certain of a few."""

import numpy as np
import pytest

from pocketrec.model_zoo.training.calibration import platt


@pytest.mark.parametrize(("slope", "shift"), [(0.4, -3.0), (1.0, 0.0), (2.5, 1.0)])
def test_it_finds_how_logits_were_bent(slope: float, shift: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=200_000)
    labels = (rng.random(len(logits)) < 1 / (1 + np.exp(-(slope * logits + shift)))).astype(float)
    found = platt(logits, labels)
    assert found == pytest.approx((slope, shift), abs=0.06)
    chances = 1 / (1 + np.exp(-(found[0] * logits + found[1])))
    assert chances.mean() == pytest.approx(labels.mean(), abs=1e-4)


def test_what_is_separated_gives_no_certainty() -> None:
    """Two of each: the targets are 1/4 and 3/4, so the chances are these."""
    slope, shift = platt(np.array([-1.0, -1.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0]))
    assert slope == pytest.approx(np.log(3), abs=1e-6)
    assert shift == pytest.approx(0.0, abs=1e-6)


def test_equal_logits_keep_the_slope_and_take_the_share() -> None:
    slope, shift = platt(np.full(100, -2.0), np.repeat([0.0, 1.0], [90, 10]))
    assert slope == 1.0
    target = (10 * 11 / 12 + 90 / 92) / 100
    assert 1 / (1 + np.exp(2.0 - shift)) == pytest.approx(target, abs=1e-9)
