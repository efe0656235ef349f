"""Click models click as often as their equations say."""

from __future__ import annotations

import numpy as np
import pytest

from pocketrec.errors import UsageError
from pocketrec.validate.experiments.clicks import Cascade, ClickModel, PositionBased

ATTRACTION = np.array([0.5, 0.4, 0.8])
USERS = 20_000  # 4 binomial deviations are at most 0.0142


def rates(model: ClickModel) -> list[float]:
    rng = np.random.default_rng(0)
    return [float(each) for each in np.mean([model(ATTRACTION, rng) for _ in range(USERS)], axis=0)]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (PositionBased(), [0.5, 0.4 / 2, 0.8 / 3]),
        (PositionBased(decay=0), [0.5, 0.4, 0.8]),
        (Cascade(), [0.5, 0.5 * 0.4, 0.5 * 0.6 * 0.8]),
        (Cascade(stop=0), [0.5, 0.4, 0.8]),
        (Cascade(stop=0.5), [0.5, 0.75 * 0.4, 0.75 * 0.8 * 0.8]),
    ],
    ids=str,
)
def test_each_place_is_clicked_as_often_as_the_model_says(model: ClickModel, expected: list[float]) -> None:
    assert rates(model) == pytest.approx(expected, abs=0.0142)


def test_a_cascade_that_stops_has_one_click_at_most() -> None:
    rng = np.random.default_rng(1)
    assert max(int(Cascade()(np.ones(5), rng).sum()) for _ in range(50)) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PositionBased(decay=-1), "the decay is -1; expected 0 or more"),
        (lambda: PositionBased(decay=float("nan")), "the decay is nan"),
        (lambda: Cascade(stop=1.5), "the chance to stop is 1.5; expected 0 to 1"),
    ],
)
def test_what_is_no_chance_is_told(make: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()  # type: ignore[operator]
