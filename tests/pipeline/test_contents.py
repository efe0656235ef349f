"""What verify allows of an artifact follows from the noise that the build measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pocketrec.pipeline.contents import _tolerance
from pocketrec.recipe import Gates, Target
from pocketrec.validate.measure.tolerances import same_within


def tolerance(measured: float, precision: Any = "float16", level: float = 4.0) -> float:
    class OfRecipe:
        gates = Gates()

    recipe: Any = OfRecipe()
    target = Target(format="coreml", precision=precision)
    return _tolerance(recipe, target, [np.full((2, 3), level, np.float32)], measured)


@pytest.mark.parametrize(
    ("measured", "allowed"),
    [
        (0.001, 2.0**-6),  # 8 * 0.001, rounded up to a power of two, but never below float16's own step
        (0.003, 2.0**-5),
        (0.0, 2.0**-6),  # 8 * 4 * 2^-11
        (1.0, 0.32),  # what the gate allows: eight standard deviations at 40 dB
        (float("inf"), 0.32),  # nothing was measured
    ],
)
def test_float16_is_held_to_the_measured_noise_within_the_gate(measured: float, allowed: float) -> None:
    assert tolerance(measured) == pytest.approx(allowed)


def test_float32_is_held_to_what_counts_as_the_same() -> None:
    scores = np.full((2, 3), 4.0, np.float32)
    assert tolerance(0.5, "float32") == same_within(scores) < 0.5


def test_an_output_of_zeros_allows_nothing() -> None:
    assert tolerance(0.1, level=0.0) == 0.0
