"""Product codes of a row are chosen together: what counts is how far the outputs move."""

from __future__ import annotations

import numpy as np
import pytest
from tests.quantize.conftest import COLUMNS, noise

from pocketrec.errors import PlanError
from pocketrec.quantize.feedback import output_noise
from pocketrec.quantize.schemes.hot_rows import HotRows
from pocketrec.quantize.schemes.product import Product, ProductCodec
from pocketrec.quantize.tensor import Array, Floats
from pocketrec.quantize.usage import Usage
from pocketrec.quantize.vectors import vector_feedback

ROWS = 600
FEEDBACK = Product(bits=4, width=4, rounding="feedback")


@pytest.fixture
def table() -> Floats:
    rows = np.random.default_rng(0).normal(size=(ROWS, COLUMNS)).astype(np.float32)
    rows[0] = 0
    return rows


@pytest.mark.parametrize("shared", [False, True])
def test_outputs_move_far_less_than_with_the_nearest_vectors(
    shared: bool, table: Floats, moment: Array
) -> None:
    known = Usage(moment=moment)
    nearest = noise(Product(bits=4, width=4, shared=shared), table, known, moment)
    together = noise(Product(bits=4, width=4, shared=shared, rounding="feedback"), table, known, moment)
    assert together < 0.7 * nearest


def test_cold_rows_of_a_table_in_parts_are_chosen_so_too(table: Floats, moment: Array) -> None:
    known = Usage(moment=moment, popularity=np.arange(ROWS, 0.0, -1))
    parts = {
        rounding: HotRows(share=0.1, hot_bits=8, cold_bits=4, cold_width=4, rounding=rounding)
        for rounding in ("nearest", "feedback")
    }
    noises = {rounding: noise(each, table, known, moment) for rounding, each in parts.items()}
    assert noises["feedback"] < 0.7 * noises["nearest"]


def test_no_vector_alone_could_be_chosen_better(table: Floats, moment: Array) -> None:
    """So the turns have come to rest, but for rows that more of them would move."""
    codec = FEEDBACK.fit("item.weight", table, usage=Usage(moment=moment))
    assert codec.feedback is not None
    metric = codec.feedback.moment.astype(np.float64)
    books = codec.codebooks[0].astype(np.float64)
    codes, places = codec.encode(table).codes, np.arange(COLUMNS // 4)
    better = np.zeros(ROWS, bool)
    errors = books[places, codes].reshape(ROWS, COLUMNS) - table
    costs = np.einsum("ri,ij,rj->r", errors, metric, errors)
    for place in places:
        for entry in books[place]:
            tried = errors.copy()
            tried[:, 4 * place : 4 * place + 4] = entry - table[:, 4 * place : 4 * place + 4]
            better |= np.einsum("ri,ij,rj->r", tried, metric, tried) < costs * (1 - 1e-4)
    assert better.mean() < 0.05


def test_where_outputs_take_all_columns_alike_the_nearest_are_the_best(table: Floats) -> None:
    alike = Usage(moment=np.eye(COLUMNS))
    codec = FEEDBACK.fit("item.weight", table, usage=alike)
    plain = ProductCodec(
        scheme=Product(bits=4, width=4), name="item.weight", codebooks=codec.codebooks, exact=codec.exact
    )
    np.testing.assert_array_equal(codec.encode(table).codes, plain.encode(table).codes)


def test_a_rows_codes_do_not_depend_on_the_rows_beside_it(table: Floats, moment: Array) -> None:
    codec = FEEDBACK.fit("item.weight", table, usage=Usage(moment=moment))
    whole = codec.encode(table).codes
    for start, stop in ((0, 1), (17, 300), (599, 600)):
        np.testing.assert_array_equal(codec.encode(table[start:stop]).codes, whole[start:stop])


def test_a_padding_row_stays_zero_and_without_one_no_entry_is_kept_for_it(
    table: Floats, moment: Array
) -> None:
    known = Usage(moment=moment)
    assert not FEEDBACK.quantize("item.weight", table, usage=known).dequantize()[0].any()
    codec = FEEDBACK.fit("item.weight", table[1:], usage=known)
    assert not codec.exact
    with pytest.raises(PlanError, match="a row of zeros has no exact code"):
        codec.encode(table)


def test_rows_that_are_read_often_count_for_more(table: Floats, moment: Array) -> None:
    reads = np.ones(ROWS)
    reads[100:110] = 1000.0
    often = FEEDBACK.quantize("item.weight", table, usage=Usage(moment=moment, popularity=reads))
    alike = FEEDBACK.quantize("item.weight", table, usage=Usage(moment=moment))
    hot = slice(100, 110)
    noises = [output_noise(moment, each.dequantize()[hot] - table[hot]) for each in (often, alike)]
    assert noises[0] < noises[1]


def test_feedback_needs_to_know_what_errors_do_and_distilled_codes_begin_without(table: Floats) -> None:
    with pytest.raises(PlanError, match=r"item\.weight: rounding = 'feedback' needs gradients"):
        FEEDBACK.quantize("item.weight", table)
    assert vector_feedback("item.weight", "distilled", Usage(), 4) is None
    nearest, begun = (
        Product(bits=4, width=4, rounding=rounding).quantize("item.weight", table)
        for rounding in ("nearest", "distilled")
    )
    np.testing.assert_array_equal(nearest.codes, begun.codes)
