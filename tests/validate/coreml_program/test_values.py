"""Numbers are held as the program declares them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.validate.coreml_program import values
from pocketrec.validate.coreml_program.values import round_to_float16, settle, unpack

EDGES = [0, -0.0, np.inf, -np.inf, np.nan, 65519, 65520, -65520, 2.98e-8, 2.9802322e-8, 2**-14, 1e-40, 3e38]


def same_bits(left: np.ndarray, right: np.ndarray) -> bool:
    equal = left.view(np.uint32) == right.view(np.uint32)
    return bool((equal | (np.isnan(left) & np.isnan(right))).all())


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid")
@given(st.integers(0, 2**32 - 1))
def test_rounding_to_float16_is_numpys_cast_bit_for_bit(seed: int) -> None:
    """Normal numbers, subnormals, ties, overflows and NaN round as IEEE 754 says."""
    rng = np.random.default_rng(seed)
    spread = rng.standard_normal(4000) * 10.0 ** rng.integers(-9, 7, 4000)
    patterns = rng.integers(0, 2**32, 4000, dtype=np.uint32).view(np.float32)
    array = np.concatenate([spread.astype(np.float32), patterns, np.array(EDGES, np.float32)])
    assert same_bits(round_to_float16(array), array.astype(np.float16).astype(np.float32))


def test_rounding_leaves_what_it_was_given_as_it_is() -> None:
    """A value that a later op reads again must not change."""
    array = np.linspace(0, 1, 5000, dtype=np.float32)
    before = array.copy()
    round_to_float16(array)
    np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize(("dtype", "expected"), [("int8", [-128, -1]), ("uint8", [128, 255])])
def test_integers_wrap_to_their_declared_width(dtype: str, expected: list[int]) -> None:
    """128 does not fit in int8, nor -1 in uint8."""
    assert settle(np.array([128, -1], dtype=np.int32), dtype).tolist() == expected


def test_floats_truncate_before_they_wrap() -> None:
    """A cast to an integer drops the fraction, towards zero."""
    assert settle(np.array([-1.9, 257.9], dtype=np.float32), "uint8").tolist() == [255, 1]


def test_packed_integers_come_out_lowest_bit_first() -> None:
    """int4 is signed, and two of them share a byte."""
    assert unpack(np.array([0x8F, 0x07], dtype=np.uint8), "int4", 3).tolist() == [-1, -8, 7]


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6])
def test_codes_that_are_unpacked_in_parts_are_those_that_were_packed(
    bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part ends at a byte for every width, and the last one may be short."""
    monkeypatch.setattr(values, "_UNPACKED", 8)
    codes = np.random.default_rng(bits).integers(0, 2**bits, 21).astype(np.uint8)
    flags = np.unpackbits(codes[:, None], axis=1, count=bits, bitorder="little")
    packed = np.packbits(flags.ravel(), bitorder="little")
    np.testing.assert_array_equal(unpack(packed, f"uint{bits}", len(codes)), codes)
