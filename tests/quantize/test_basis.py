"""Coordinates of rows are independent and count alike, and codes go where they tell most."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.quantize.conftest import COLUMNS, noise

from pocketrec.errors import PlanError
from pocketrec.quantize.basis import _places, _rates, basis_of, principal_basis
from pocketrec.quantize.feedback import output_noise
from pocketrec.quantize.schemes.hot_rows import HotRows
from pocketrec.quantize.schemes.product import BasisName, Product
from pocketrec.quantize.tensor import Array, Floats
from pocketrec.quantize.usage import Usage

ROWS = 600


@pytest.fixture
def table() -> Floats:
    """Of columns that say much of each other, the first row zero."""
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(ROWS, COLUMNS)) * np.geomspace(1, 0.02, COLUMNS)
    rows: Floats = (wide @ rng.normal(size=(COLUMNS, COLUMNS))).astype(np.float32)
    rows[0] = 0
    return rows


def in_basis(basis: BasisName) -> Product:
    return Product(bits=4, width=4, basis=basis, rounding="feedback")


def test_rows_are_their_coordinates_times_the_basis(table: Floats, moment: Array) -> None:
    metric = moment + 0.01 * np.eye(COLUMNS)
    for width, vectors in ((4, 4), (3, 6), (5, 4)):  # 16 of 16, 18 and 20 places
        basis = principal_basis("w", table, weights=None, metric=metric, vectors=vectors, width=width, bits=4)
        assert basis.stored.dtype == np.float16
        assert basis.stored.shape == (vectors * width, COLUMNS)
        assert np.count_nonzero(basis.stored.any(axis=1)) == COLUMNS
        back = basis.coordinates(table) @ basis.stored.astype(np.float32)
        np.testing.assert_allclose(back, table, atol=2e-4)
        assert not basis.coordinates(table)[0].any()


def test_coordinates_are_independent_and_their_errors_count_alike(table: Floats, moment: Array) -> None:
    metric = moment + 0.01 * np.eye(COLUMNS)
    basis = principal_basis("w", table, weights=None, metric=metric, vectors=4, width=4, bits=4)
    found = basis.coordinates(table).astype(np.float64)
    covariance = found.T @ found
    lengths = np.sqrt(np.diagonal(covariance))
    assert np.abs(covariance / np.outer(lengths, lengths) - np.eye(COLUMNS)).max() < 0.05
    wide = basis.stored.astype(np.float64)
    counted = wide @ metric @ wide.T
    np.testing.assert_allclose(counted / counted[0, 0], np.eye(COLUMNS), atol=0.01)


def test_outputs_move_far_less_than_with_vectors_of_columns(table: Floats, moment: Array) -> None:
    known = Usage(moment=moment)
    columns, principal = (noise(in_basis(each), table, known, moment) for each in ("columns", "principal"))
    assert principal < 0.6 * columns


def test_where_outputs_take_all_columns_alike_it_is_that_of_the_rows_alone(table: Floats) -> None:
    alike = np.eye(COLUMNS)
    columns, principal = (
        noise(Product(bits=4, width=4, basis=each), table, Usage(), alike)
        for each in ("columns", "principal")
    )
    assert principal < 0.6 * columns


def test_cold_rows_of_a_table_in_parts_are_stored_so_too(table: Floats, moment: Array) -> None:
    known = Usage(moment=moment, popularity=np.arange(ROWS, 0.0, -1))
    columns, principal = (
        noise(
            HotRows(share=0.1, cold_bits=4, cold_width=4, cold_basis=each, rounding="feedback"),
            table,
            known,
            moment,
        )
        for each in ("columns", "principal")
    )
    assert principal < 0.6 * columns


def test_rows_that_are_read_often_count_for_more(table: Floats, moment: Array) -> None:
    reads = np.ones(ROWS)
    reads[100:110] = 1000.0
    hot, scheme = slice(100, 110), in_basis("principal")
    noises = [
        output_noise(moment, scheme.quantize("w", table, usage=usage).dequantize()[hot] - table[hot])
        for usage in (Usage(moment=moment, popularity=reads), Usage(moment=moment))
    ]
    assert noises[0] < noises[1]


def test_rows_of_which_none_is_read_are_those_that_are_all_read_alike(table: Floats) -> None:
    found = [
        in_basis("principal").quantize("w", table, usage=Usage(moment=np.eye(COLUMNS), popularity=each))
        for each in (np.ones(ROWS), np.zeros(ROWS))
    ]
    assert found[0].basis is not None
    assert found[1].basis is not None
    np.testing.assert_array_equal(found[0].basis, found[1].basis)
    assert np.isfinite(found[1].dequantize()).all()


def test_no_rows_stand_for_no_rows(table: Floats) -> None:
    done = in_basis("principal").quantize("w", table, usage=Usage(moment=np.eye(COLUMNS)))
    assert done.dequantize_rows(3, 3).shape == (0, COLUMNS)


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((20, 8)),
        np.ones((20, 8)),
        np.outer(np.arange(20), np.ones(8)),
        np.eye(20, 8),
        np.diag(np.geomspace(1e-6, 1e3, 8)),
    ],
    ids=["zeros", "one row", "one component", "few rows", "far apart"],
)
@pytest.mark.parametrize("moment", [None, np.zeros((8, 8)), np.diag([1.0, *[0.0] * 7])])
def test_tables_and_outputs_of_few_components_are_compressed_like_others(
    rows: Array, moment: Array | None
) -> None:
    usage = Usage(moment=moment)
    done = Product(bits=6, width=3, basis="principal", rounding=usage.rounding).quantize(
        "w", rows.astype(np.float32), usage=usage
    )
    assert np.abs(done.dequantize() - rows).max() <= 0.01 * max(1.0, np.abs(rows).max())


def test_a_basis_that_is_none_in_float16_is_refused_by_name() -> None:
    with pytest.raises(PlanError, match=r"w: its principal components are none in float16; use basis"):
        basis_of("w", np.ones((4, 4), np.float16))


def test_bits_go_to_the_coordinates_that_vary() -> None:
    np.testing.assert_allclose(_rates(np.array([16.0, 1.0]), 4), [3.0, 1.0])
    np.testing.assert_allclose(_rates(np.array([16.0, 1.0, 1e-9]), 4), [3.0, 1.0, 0.0])
    np.testing.assert_allclose(_rates(np.array([1e9, 1.0]), 4), [4.0, 0.0])  # the second is below the water
    np.testing.assert_allclose(_rates(np.zeros(3), 6), [2.0, 2.0, 2.0])


@settings(max_examples=60, deadline=None)
@given(
    levels=st.lists(st.floats(-20, 20), min_size=2, max_size=40),
    width=st.integers(2, 8),
    bits=st.sampled_from([4, 6, 8]),
)
def test_all_bits_are_given_and_every_coordinate_has_a_place_of_its_own(
    levels: list[float], width: int, bits: int
) -> None:
    variances = np.exp2(np.sort(levels)[::-1])
    vectors = -(-len(levels) // width)
    rates = _rates(variances, vectors * bits)
    assert rates.sum() == pytest.approx(vectors * bits)
    assert (np.diff(rates) <= 1e-9).all()
    assert rates.min() >= 0
    places = _places(variances, vectors, width, bits)
    assert len(set(places.tolist())) == len(levels)
    assert set(places // width) <= set(range(vectors))


def test_vectors_are_filled_alike() -> None:
    places = _places(np.geomspace(1e4, 1e-4, 16), 4, 4, 8)
    rates = _rates(np.geomspace(1e4, 1e-4, 16), 32)
    filled = np.bincount(places // 4, rates)
    assert filled.max() - filled.min() < rates[0] / 4
