"""Rows keep the scales of the release before where these fit, and codes change where numbers did."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from pocketrec.errors import PlanError
from pocketrec.quantize.frozen import Frozen
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.tensor import LinearTensor
from pocketrec.quantize.usage import Usage

VALUES = np.random.default_rng(0).normal(size=(40, 32)).astype(np.float32)
SCHEMES: dict[str, dict[str, Any]] = {
    "int8": {},
    "int4": {"bits": 4, "clipping": "search"},
    "blocks": {"granularity": "per_block", "block_size": 16},
    "asymmetric": {"symmetric": False},
    "whole": {"granularity": "per_tensor"},
}


def made(scheme: Linear, values: Any, frozen: Frozen | None = None, headroom: float = 0.0) -> LinearTensor:
    return scheme.quantize("t", values, usage=Usage(frozen=frozen, headroom=headroom))


@pytest.mark.parametrize("name", SCHEMES)
def test_the_same_numbers_give_the_same_tensor(name: str) -> None:
    scheme = Linear(**SCHEMES[name])
    first = made(scheme, VALUES)
    again = made(scheme, VALUES, Frozen.of(first))
    assert again.scales.tobytes() == first.scales.tobytes()
    assert again.codes.tobytes() == first.codes.tobytes()
    assert Frozen.of(first).kept(again) == len(first.scales)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_small_drift_keeps_the_scales_and_most_codes(name: str) -> None:
    scheme = Linear(**SCHEMES[name])
    first = made(scheme, VALUES, headroom=0.1)
    drifted = VALUES * np.float32(1.001)
    again, alone = made(scheme, drifted, Frozen.of(first)), made(scheme, drifted)
    assert again.scales.tobytes() == first.scales.tobytes()
    assert (again.codes != first.codes).mean() < 0.1
    assert again.sqnr_db(drifted) > alone.sqnr_db(drifted) - 2


@pytest.mark.parametrize("name", [each for each in SCHEMES if each != "whole"])
def test_a_row_that_left_its_range_or_needs_less_than_half_of_it_is_fitted_anew(name: str) -> None:
    scheme = Linear(**SCHEMES[name])
    first = made(scheme, VALUES)
    changed = VALUES.copy()
    changed[3] *= 1.5
    changed[7] *= 0.3
    again, alone = made(scheme, changed, Frozen.of(first)), made(scheme, changed)
    for row in range(len(VALUES)):
        like = alone if row in (3, 7) else first
        assert again.scales[row].tobytes() == like.scales[row].tobytes(), row
        assert again.codes[row].tobytes() == like.codes[row].tobytes(), row
    assert Frozen.of(first).kept(again) == 38


def test_a_row_that_left_its_range_may_be_refused_by_name() -> None:
    changed = VALUES.copy()
    changed[7] *= 0.3
    scheme = Linear()
    frozen = dataclasses.replace(Frozen.of(made(scheme, VALUES)), outside="refuse")
    assert frozen.kept(made(scheme, changed, frozen)) == 39
    changed[3] *= 2
    with pytest.raises(
        PlanError, match=r"^t: row 3 needs -\d\S* to \d\S*, its frozen scale reaches -.*'widen'"
    ):
        made(scheme, changed, frozen)


def test_rows_that_were_appended_get_scales_of_their_own() -> None:
    more = np.concatenate([VALUES, 2 * VALUES[:3]])
    first = made(Linear(), VALUES)
    again = made(Linear(), more, dataclasses.replace(Frozen.of(first), outside="refuse"))
    assert again.scales[:40].tobytes() == first.scales.tobytes()
    assert again.scales[40:].tobytes() == made(Linear(), more).scales[40:].tobytes()
    assert made(Linear(), VALUES[:30], Frozen.of(first)).codes.tobytes() == first.codes[:30].tobytes()


def test_a_row_of_zeros_stays_one_and_may_become_another() -> None:
    values = VALUES.copy()
    values[0] = 0
    first = made(Linear(), values)
    assert made(Linear(), values, Frozen.of(first)).codes.tobytes() == first.codes.tobytes()
    values[0] = 1
    assert made(Linear(), values, Frozen.of(first)).codes[0].tolist() == [127] * 32


def test_scales_of_another_kind_are_not_taken() -> None:
    frozen = Frozen.of(made(Linear(bits=4), VALUES))
    assert made(Linear(), VALUES, frozen).scales.tobytes() == made(Linear(), VALUES).scales.tobytes()


def test_headroom_reaches_further_by_its_share() -> None:
    wide, narrow = made(Linear(), VALUES, headroom=0.25), made(Linear(), VALUES)
    ratio = wide.scales.astype(np.float32) / narrow.scales.astype(np.float32)
    assert ratio == pytest.approx(np.full_like(ratio, 1.25), rel=2e-3)
    assert np.abs(wide.codes.astype(int)).max() == round(127 / 1.25)
