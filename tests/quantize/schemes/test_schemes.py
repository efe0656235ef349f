"""Every scheme: its codes mean what they say, streaming changes nothing, padding stays zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketrec.errors import PlanError, RecipeError
from pocketrec.quantize.schemes import SCHEMES, RowScheme, Scheme, scheme_from_table, scheme_to_table
from pocketrec.quantize.schemes.base import join
from pocketrec.quantize.schemes.float16 import Float16
from pocketrec.quantize.schemes.hot_rows import HotRows
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.lloyd import centres_of_numbers
from pocketrec.quantize.schemes.palette import Palette
from pocketrec.quantize.schemes.product import Product
from pocketrec.quantize.schemes.scaled_palette import ScaledPalette
from pocketrec.quantize.schemes.sparse import Sparse
from pocketrec.quantize.tensor import PartsTensor, SparseTensor
from pocketrec.quantize.usage import Usage

Floats = npt.NDArray[np.float32]
MakeTable = Callable[..., Floats]

ROW_SCHEMES: list[RowScheme[Any]] = [
    Linear(),
    Linear(symmetric=False),
    Linear(bits=4, clipping="search"),
    Linear(bits=4, symmetric=False, clipping="search"),
    Linear(bits=4, granularity="per_block", block_size=8),
    Linear(granularity="per_tensor"),
    *(Palette(bits=bits) for bits in (1, 2, 3, 4, 6, 8)),
    Palette(bits=2, groups=4),
    *(ScaledPalette(bits=bits) for bits in (1, 2, 3, 4, 6)),
    ScaledPalette(bits=2, block_size=8),
    Product(bits=4, width=4),
    Product(bits=6, width=2, shared=True),
    Product(bits=6, width=3, basis="principal"),
    Float16(),
]
OTHER_SCHEMES: list[Scheme] = [
    Palette(bits=3, groups=5, axis="rows"),
    Sparse(sparsity=0.5),
    HotRows(share=0.2),
    HotRows(share=0.2, hot_bits=4, cold_bits=2),
    HotRows(share=0.2, hot_bits=4, cold_bits=4, cold_width=4),
]


def label(scheme: Any) -> str:
    return "-".join(str(value) for value in (scheme.scheme, *scheme_to_table(scheme).values()))


@pytest.mark.parametrize("scheme", [*ROW_SCHEMES, *OTHER_SCHEMES], ids=label)
def test_codes_stand_for_numbers_near_the_original_and_fit_their_bits(
    scheme: Scheme, make_table: MakeTable
) -> None:
    table = make_table(105, 16)
    done = scheme.quantize("item.weight", table, usage=Usage(popularity=np.arange(105.0)[::-1]))
    values = done.dequantize()
    assert values.shape == table.shape
    assert values.dtype == np.float32
    assert done.sqnr_db(table) > (1 if getattr(done, "bits", 8) < 2 else 4)
    for part in done.parts if isinstance(done, PartsTensor) else (done,):
        if not isinstance(part, SparseTensor) and part.codes.dtype.kind in "iu":
            span = int(part.codes.max()) - int(part.codes.min())
            assert span < 2**part.bits
    assert 0 < done.size_bytes < table.nbytes


@pytest.mark.parametrize("scheme", [*ROW_SCHEMES, *OTHER_SCHEMES], ids=label)
def test_a_padding_row_stays_exactly_zero(scheme: Scheme, make_table: MakeTable) -> None:
    done = scheme.quantize("item.weight", make_table(105, 16), usage=Usage(popularity=np.arange(105.0)))
    assert not done.dequantize()[0].any()


@pytest.mark.parametrize("scheme", ROW_SCHEMES, ids=label)
@settings(max_examples=12, deadline=None)
@given(cuts=st.lists(st.integers(1, 104), max_size=5))
def test_a_table_in_chunks_gives_the_bytes_of_the_whole(scheme: RowScheme[Any], cuts: list[int]) -> None:
    rng = np.random.default_rng(3)
    table = (rng.standard_normal((105, 16)) * rng.lognormal(0, 1, (105, 1))).astype(np.float32)
    table[0] = 0
    codec = scheme.fit("item.weight", table)
    whole = codec.encode(table)
    chunked = join([codec.encode(each) for each in np.split(table, sorted(set(cuts)))])
    assert whole.arrays.keys() == chunked.arrays.keys()
    for name, one in whole.arrays.items():
        other = chunked.arrays[name]
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("scheme", [*ROW_SCHEMES, *OTHER_SCHEMES], ids=label)
def test_a_scheme_survives_the_recipe(scheme: Scheme) -> None:
    assert scheme_from_table(scheme_to_table(scheme), source="r.toml", key="t") == scheme


def test_every_scheme_of_the_registry_is_tested() -> None:
    assert {each.scheme for each in (*ROW_SCHEMES, *OTHER_SCHEMES)} == set(SCHEMES)


@pytest.mark.parametrize(
    "scheme", [Linear(bits=4), Palette(), ScaledPalette(), Float16(), Sparse()], ids=label
)
@pytest.mark.parametrize("shape", [(7,), (1,), (3, 5), (1683, 3), (4, 3, 5)])
def test_small_odd_and_one_dimensional_tensors_are_compressed_like_any_other(
    scheme: Scheme, shape: tuple[int, ...]
) -> None:
    values = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    done = scheme.quantize("bias", values)
    assert done.dequantize().shape == shape
    assert done.sqnr_db(values) > 3


@pytest.mark.parametrize(
    ("scheme", "shape", "message"),
    [
        (
            Linear(granularity="per_block", block_size=32),
            (100, 50),
            r'w: 50 columns do not divide into blocks of 32; use block_size=10 or 25 or granularity="per_r',
        ),
        (ScaledPalette(block_size=16), (8, 40), r"w: 40 columns do not divide into blocks of 16"),
        (
            Palette(groups=16, axis="rows"),
            (1683, 64),
            r"w: 1683 rows do not divide into 16 groups; use groups=9 or 11 or 17",
        ),
        (Palette(groups=3), (9, 64), r"w: 64 columns do not divide into 3 groups"),
        (Product(width=4), (9, 17), r"w: 17 columns do not divide into vectors of 4; use 'palette'"),
        (Product(width=4), (9, 18), r"vectors of 4; use width=2 or 3 or 6 or 9"),
        (Product(basis="principal"), (9,), r"w: a vector has no principal components; use 'float16' or "),
        (Product(basis="principal"), (9, 3), r"w: rows of 3 have no 4 principal components; use width=3"),
        (Linear(granularity="per_block", block_size=5), (2, 5, 5), r"w: blocks need one or two axes"),
        (HotRows(share=0.1), (4, 8), r"w: hot_rows needs a table with rows in both parts; \[4, 8\]"),
        (HotRows(), (100,), r"w: hot_rows needs a table"),
        (HotRows(cold_width=3), (100, 8), r"w: 8 columns do not divide into vectors of 3; use width=2 or 4"),
    ],
)
def test_a_shape_that_does_not_divide_fails_by_name_with_a_way_out(
    scheme: Scheme, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        scheme.quantize("w", np.ones(shape, np.float32), usage=Usage(popularity=np.ones(shape[0])))


@pytest.mark.parametrize("scheme", [*ROW_SCHEMES, Sparse()], ids=label)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_by_name(scheme: Scheme, value: float) -> None:
    values = np.ones((4, 16), np.float32)
    values[2, 3] = value
    with pytest.raises(PlanError, match=r"item\.weight: holds NaN or infinity"):
        scheme.quantize("item.weight", values)


@pytest.mark.parametrize("scheme", [Linear(granularity="per_tensor"), Palette(), Float16()], ids=label)
def test_what_is_beyond_float16_is_refused_by_name(scheme: Scheme) -> None:
    with pytest.raises(PlanError, match=r"w: .*beyond float16"):
        scheme.quantize("w", np.full((4, 16), 1e9, np.float32))


@pytest.mark.parametrize("scheme", ROW_SCHEMES, ids=label)
@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-6])
def test_tiny_and_zero_tables_give_finite_numbers(scheme: RowScheme[Any], size: float) -> None:
    table = np.full((5, 16), size, np.float32)
    done = scheme.quantize("w", table).dequantize()
    assert np.isfinite(done).all()
    assert np.abs(done - table).max() <= max(size, 1e-7)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"scheme": "product", "shared": True, "basis": "principal"},
            "so no codebook is shared; use shared =",
        ),
        ({"scheme": "product", "basis": "pca"}, "basis is 'pca'"),
        ({"scheme": "hot_rows", "cold_basis": "principal"}, "cold_width is 1; raise cold_width, or use"),
    ],
)
def test_a_basis_that_a_scheme_cannot_have_is_refused_with_a_way_out(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises((PlanError, RecipeError), match=message):
        scheme_from_table(given, source="r.toml", key="t")


def test_hot_rows_without_popularity_are_refused() -> None:
    with pytest.raises(PlanError, match=r"w: hot_rows needs to know how often rows are read"):
        HotRows().quantize("w", np.ones((100, 8), np.float32))


def test_hot_rows_are_nearer_to_the_original_than_cold_rows(make_table: MakeTable) -> None:
    table = make_table(200, 16, padding=False)
    popularity = np.zeros(200)
    popularity[[5, 17, 150]] = 9.0
    done = HotRows(share=0.015).quantize("w", table, usage=Usage(popularity=popularity)).dequantize()
    error = np.abs(done - table).max(axis=1) / np.abs(table).max(axis=1)
    assert error[[5, 17, 150]].max() < 0.005
    assert np.delete(error, [5, 17, 150]).min() > 0.005


@pytest.mark.parametrize("symmetric", [True, False])
def test_searched_clipping_is_never_worse_than_the_range(symmetric: bool, make_table: MakeTable) -> None:
    table = make_table(64, 32, padding=False)
    table[:, 0] *= 6
    errors = {}
    for clipping in ("range", "search"):
        scheme = Linear(bits=4, symmetric=symmetric, clipping=clipping)
        errors[clipping] = np.square(scheme.quantize("w", table).dequantize() - table).sum(axis=1)
    assert (errors["search"] <= errors["range"]).all()
    assert errors["search"].sum() < 0.97 * errors["range"].sum()


def test_levels_stay_as_they_are_when_they_are_quantized_again(make_table: MakeTable) -> None:
    scheme = Linear(bits=4, clipping="search")
    once = scheme.quantize("w", make_table(64, 32)).dequantize()
    assert np.array_equal(scheme.quantize("w", once).dequantize(), once)


def test_a_scaled_palette_is_better_than_a_palette_of_as_many_bits(make_table: MakeTable) -> None:
    table = make_table(300, 64)
    assert ScaledPalette(bits=3).quantize("w", table).sqnr_db(table) > 3 + Palette(bits=3).quantize(
        "w", table
    ).sqnr_db(table)


def test_popular_rows_draw_the_codebook_to_them() -> None:
    table = np.array([[-1.0, -0.9], [1.0, 1.1], [5.0, 5.2], [9.0, 9.4]], np.float32)
    reads = np.array([1.0, 1.0, 1e6, 1e6])
    near = Palette(bits=1).quantize("w", table, usage=Usage(popularity=reads)).dequantize()
    assert np.abs(near[2:] - table[2:]).max() < 0.3


def test_lloyd_finds_the_clusters_of_numbers_and_keeps_zero_where_it_is_pinned() -> None:
    rng = np.random.default_rng(0)
    clusters = np.array([-3.0, -1.0, 0.5, 2.0])
    values = rng.choice(clusters, 4000) + rng.normal(0, 0.01, 4000)
    assert np.abs(centres_of_numbers(values, 4) - clusters).max() < 0.01
    assert 0.0 in centres_of_numbers(values, 4, pin_zero=True)


@pytest.mark.parametrize("scheme", [Palette(bits=1), Product(bits=4, width=4)], ids=label)
def test_a_zero_row_that_the_sample_lacked_is_an_error_and_no_approximation(
    scheme: RowScheme[Any], make_table: MakeTable
) -> None:
    codec = scheme.fit("w", make_table(50, 16, padding=False))
    with pytest.raises(PlanError, match=r"w: a row of zeros has no exact code"):
        codec.encode(np.zeros((1, 16), np.float32))


def test_groups_of_rows_cannot_be_fitted_from_a_sample(make_table: MakeTable) -> None:
    with pytest.raises(PlanError, match=r"w: groups of rows need the whole table"):
        Palette(groups=3, axis="rows").fit("w", make_table(9, 4))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"scheme": "liner"}, r"r\.toml: t\.scheme is 'liner'; did you mean 'linear'\?"),
        ({"scheme": ["linear"]}, r"t\.scheme is \['linear'\]; did you mean 'linear'\?"),
        ({}, r"t\.scheme is None; expected one of linear, palette"),
        ({"scheme": "linear", "bits": 5}, r"t\.bits is 5; expected one of 4, 8"),
        ({"scheme": "linear", "block_size": 32}, r"block_size goes with granularity='per_block'"),
        ({"scheme": "linear", "width": 2}, r"t\.width is not a known key"),
        ({"scheme": "product", "width": 1}, r"product: width is 1; expected 2 or more"),
        ({"scheme": "product", "width": 0}, r"product: width is 0; expected 2 or more"),
        ({"scheme": "product", "width": -4}, r"product: width is -4; expected 2 or more"),
        ({"scheme": "product", "width": "4"}, r"t\.width is '4'; expected a whole number"),
        ({"scheme": "product", "bits": 8.0}, r"t\.bits is 8\.0; expected one of 4, 6, 8"),
        (
            {"scheme": "scaled_palette", "block_size": 0},
            r"scaled_palette: block_size is 0; expected 1 or more",
        ),
        ({"scheme": "palette", "groups": 0}, r"palette: groups is 0; expected 1 or more"),
        (
            {"scheme": "linear", "granularity": "per_block", "block_size": -32},
            r"linear: block_size is -32; expected 1 or more",
        ),
        ({"scheme": "sparse", "sparsity": 1.5}, r"sparsity is 1\.5; expected above 0 and below 1"),
        ({"scheme": "hot_rows", "share": 1.0}, r"share is 1\.0"),
        ({"scheme": "hot_rows", "hot_bits": 4, "cold_bits": 4}, r"cold_bits 4 is not below hot_bits 4"),
        ({"scheme": "hot_rows", "cold_width": 0}, r"cold_width is 0; expected 1 or more"),
        ({"scheme": "hot_rows", "cold_bits": 8}, r"cold_bits is 8 with cold_width 1; expected 1, 2, 3, 4"),
        (
            {"scheme": "hot_rows", "cold_bits": 3, "cold_width": 2},
            r"cold_bits is 3 with cold_width 2; expected 4, 6, 8",
        ),
    ],
)
def test_a_wrong_scheme_in_a_recipe_is_an_error_with_its_key(table: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        scheme_from_table(table, source="r.toml", key="t")
