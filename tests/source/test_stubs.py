"""Stubs: no memory, recognised through casts and views, and true to what their rows will be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pocketrec.source.stubs import Source, Stub, number_of, stub_tensor

pytestmark = pytest.mark.usefixtures("small_chunks")

ROWS = np.arange(-64, 64, dtype=np.int8).reshape(16, 8)


def codes() -> Any:
    return Stub.of(np.int8(1), (10_000_000, 8), Source.of(2, "codes"))


def rows_of(stub: Any) -> Any:
    assert isinstance(stub, Stub)
    assert stub.source is not None
    return stub.source.make({"codes": ROWS})


def test_a_torch_stub_has_the_shape_and_one_number() -> None:
    stub = stub_tensor(7, (10_000_000, 64))
    assert stub.untyped_storage().nbytes() == 4
    assert number_of(stub) == 7
    assert number_of(stub.half().float()) is None  # a cast of all of it would have copied it


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_numpy_stub_is_recognised_in_either_float_type(dtype: Any) -> None:
    table = Stub.table(5, (300, 4), dtype)
    assert number_of(table) == number_of(np.asarray(table)) == number_of(np.asarray(table).T) == 5


def test_what_is_no_stub_has_no_number() -> None:
    assert number_of(np.ones((4, 4), np.float32)) is None
    assert number_of(np.broadcast_to(np.float32(1), (4, 4))) is None
    assert number_of(torch.zeros(1, 1).expand(4, 4)) is None


@pytest.mark.parametrize(
    "step",
    [
        lambda x: x.astype(np.uint8) + np.uint8(128),
        lambda x: (x.astype(np.uint8) >> 4) & 3,
        lambda x: x[:, 0::2] | (x[:, 1::2] << 4),
        lambda x: 3 - x.astype(np.int16),
        np.abs,
    ],
)
def test_steps_are_remembered_and_carried_out_on_rows(step: Any) -> None:
    stub = step(codes())
    expected = step(ROWS)
    assert stub.shape == (10_000_000, *expected.shape[1:])
    assert stub.dtype == expected.dtype
    assert np.array_equal(rows_of(stub), expected)


def test_equal_steps_have_equal_sources_and_others_have_not() -> None:
    assert (codes() + np.int8(1)).source == (codes() + np.int8(1)).source
    assert (codes() + np.int8(1)).source != (codes() + np.int8(2)).source
    assert np.allclose(codes(), codes())
    assert not np.allclose(codes(), Stub.of(np.int8(1), (10_000_000, 8), Source.of(3, "codes")))


def test_rows_that_are_chosen_have_no_source() -> None:
    assert codes()[:100].source is None


def test_scans_look_at_one_number() -> None:
    table = np.abs(np.expand_dims(Stub.table(0, (10_000_000, 64)), 0))
    assert np.max(table[np.where(table < 1e38)], initial=0.0) == table.one
    assert not np.any(table != table)
