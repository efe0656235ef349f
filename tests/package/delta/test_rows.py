"""Changed rows come back to the bit by every change of every width; one that does not fit is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pocketrec.errors import ArtifactError
from pocketrec.package.delta.rows import (
    DIFFERENCE,
    HALVES,
    REPLACE,
    STEPS,
    XOR,
    from_payload,
    to_payload,
)
from pocketrec.package.delta.varints import to_varints

WAYS = [(change, width) for change in (REPLACE, XOR, DIFFERENCE) for width in (1, 2, 4, 8)]


@st.composite
def rows(draw: st.DrawFn) -> tuple[Any, Any, int]:
    """Old and new bytes, and the bytes of a row: some rows equal, others not."""
    unit, count = 8 * draw(st.integers(1, 3)), draw(st.integers(1, 6))
    old = draw(arrays(np.uint8, count * unit))
    new = draw(arrays(np.uint8, count * unit))
    kept = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    return old, np.where(np.repeat(kept, unit), old, new), unit


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # by a machine that is busy
@given(rows(), st.sampled_from([*WAYS, (DIFFERENCE, HALVES), (STEPS, 1), (STEPS, HALVES)]))
def test_rows_come_back_to_the_bit(drawn: tuple[Any, Any, int], way: tuple[int, int]) -> None:
    (old, new, unit), (change, width) = drawn, way
    changed = (old != new).reshape(-1, unit).any(axis=1)
    payload = to_payload(old, new, unit, change, width, changed)
    found = from_payload(old, np.frombuffer(payload, np.uint8), unit, change, width)
    assert found.tobytes() == new.tobytes()


def test_a_small_step_of_either_sign_is_a_small_number() -> None:
    old = np.array([1.0, -1.0, 2.0], "<f4")
    new = np.nextafter(old, np.array([2, -2, 0], "<f4")).astype("<f4")
    payload = to_payload(old.view(np.uint8), new.view(np.uint8), 4, DIFFERENCE, 4, np.ones(3, np.bool_))
    assert payload == b"\x01" + b"\x00\x03" + b"\x02\x02\x01" + b"\x00" * 9


def test_a_step_of_one_level_in_four_bits_is_one_in_its_half() -> None:
    old, new = np.array([0x0F, 0x70], np.uint8), np.array([0x00, 0x81], np.uint8)
    payload = to_payload(old, new, 2, DIFFERENCE, HALVES, np.ones(1, np.bool_))
    assert payload == b"\x01" + b"\x00\x01" + b"\x01\x11"


def test_five_steps_are_one_byte_and_larger_ones_stand_at_the_end() -> None:
    old = np.array([5, 5, 5, 5, 5, 0, 0, 0, 0, 0], np.uint8)
    new = np.array([5, 6, 4, 5, 5, 0, 3, 0, 0, 255], np.uint8)
    payload = to_payload(old, new, 10, STEPS, 1, np.ones(1, np.bool_))
    assert payload == b"\x01\x00\x01" + bytes([1 * 3 + 2 * 9, 243]) + b"\x00\x03\x00\x00\xff"


@pytest.mark.parametrize("changes", [[0], [0, 0, 0], [244, 0], [243, 0], [243, 0, 1, 1, 1, 1]])
def test_steps_that_do_not_fit_are_refused(changes: list[int]) -> None:
    payload = np.array([1, 0, 1, *changes], np.uint8)
    with pytest.raises(ArtifactError, match="not those of its rows"):
        from_payload(np.zeros(8, np.uint8), payload, 8, STEPS, 1)


@pytest.mark.parametrize(
    ("numbers", "changes", "said"),
    [
        ([1, 1, 2], b"\0" * 8, "a run ends beyond"),
        ([1, 2, 1], b"\0" * 4, "a run ends beyond"),
        ([1, 0, 2**62], b"\0" * 8, "a run ends beyond"),
        ([3, 0, 0, 0, 1, 1, 1], b"\0" * 12, "more runs than rows"),
        ([1, 0, 1], b"\0" * 5, "not those of its rows"),
        ([1, 0, 1], b"\0" * 3, "not those of its rows"),
        ([2, 0, 1], b"\0" * 8, "a run ends beyond|cut|not those"),
    ],
)
def test_a_payload_that_does_not_fit_is_refused(numbers: list[int], changes: bytes, said: str) -> None:
    payload = np.frombuffer(to_varints(np.array(numbers)) + changes, np.uint8)
    with pytest.raises(ArtifactError, match=said):
        from_payload(np.zeros(8, np.uint8), payload, 4, XOR, 4)
