"""Two tensors are the same within a share of their own scale, and nowhere by an absolute number alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pocketrec.contract import Feature, Output, Signature
from pocketrec.recipe import Gates
from pocketrec.report import TensorParity
from pocketrec.validate.measure.parity import check_parity
from pocketrec.validate.measure.tolerances import differs_by, rows_same_within, same_within, tie_tolerance

SIGNATURE = Signature(
    inputs=(Feature(name="x", kind="dense", dtype="float32", shape=(4,)),),
    outputs=(Output(name="y", meaning="score", shape=(4,)),),
)
NOISE = np.array([1, -1, 1, -1], np.float32)


def compared(scale: float, noise: float) -> TensorParity:
    expected = np.array([0.1, -0.5, 1.0, 0.0], np.float32) * np.float32(scale)
    given = expected + np.float32(noise * scale) * NOISE
    (found,) = check_parity(
        [{"y": expected}], [{"y": given}], ["probe"], SIGNATURE, function="main", tie_tolerance=1e-5
    )
    return found


@pytest.mark.parametrize("scale", [0.1, 1.0, 1e3, 1e6])
def test_noise_of_float32_passes_and_more_fails_at_every_scale(scale: float) -> None:
    assert differs_by(compared(scale, 2e-6), Gates(), "float32") == ""
    assert differs_by(compared(scale, 1e-3), Gates(), "float32").startswith("off by")


@pytest.mark.parametrize("size", [5e-5, 1e-5, 4e-6])
def test_zeros_are_no_small_probabilities(size: float) -> None:
    """An absolute bound of 1e-4 would take zeros for a softmax over a large catalogue."""
    small = np.full(4, size, np.float32)
    (found,) = check_parity(
        [{"y": small}], [{"y": np.zeros(4, np.float32)}], ["p"], SIGNATURE, function="main", tie_tolerance=0
    )
    assert found.max_abs_error < 1e-4
    assert differs_by(found, Gates(), "float32")


def test_one_probe_does_not_widen_the_bound_of_another() -> None:
    large, small = np.full(4, 1e4, np.float32), np.full(4, 1.0, np.float32)
    (found,) = check_parity(
        [{"y": large}, {"y": small}],
        [{"y": large}, {"y": small + np.float32(0.01)}],
        ["large", "small"],
        SIGNATURE,
        function="main",
        tie_tolerance=0,
    )
    assert found.worst_probe == "small"
    assert found.excess > 50


def test_a_tensor_of_zeros_and_infinities_have_a_bound() -> None:
    assert same_within(np.zeros(3, np.float32)) == pytest.approx(1e-6)
    assert same_within(np.array([np.inf, 2.0], np.float32)) == pytest.approx(2e-4 + 1e-5)


def test_a_row_of_small_numbers_has_the_mean_rows_bound() -> None:
    bounds = rows_same_within(np.array([0.01, 1.99]))
    assert bounds == pytest.approx([1e-4 + 1e-5, 1.99e-4 + 1e-5])


def test_ties_are_wider_in_float16_and_never_narrower_than_stated() -> None:
    assert tie_tolerance(Gates(), "float32") == 1e-5
    assert tie_tolerance(Gates(), "float16 storage, float32 accumulation") == 2.0**-7
    assert tie_tolerance(Gates(tie_tolerance=0.02), "float16") == 0.02


def test_float16_is_judged_by_its_noise_and_ids_by_their_number() -> None:
    base = compared(1.0, 1e-3)
    assert differs_by(replace(base, sqnr_db=60.0), Gates(), "float16") == ""
    assert differs_by(replace(base, sqnr_db=30.0), Gates(), "float16") == "30.0 dB, expected 40"
    assert differs_by(replace(base, mismatches=2), Gates(), "float32") == "2 of 4 ids differ"
    assert differs_by(replace(base, failure="NaN"), Gates(), "float32") == "NaN"
