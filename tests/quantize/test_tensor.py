"""The compressed form: its size counts everything, its rows can be read alone."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from dataclasses import fields

import numpy as np
import numpy.typing as npt
import pytest

from pocketrec.quantize.schemes import Scheme
from pocketrec.quantize.schemes.float16 import Float16
from pocketrec.quantize.schemes.hot_rows import HotRows
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.palette import Palette
from pocketrec.quantize.schemes.product import Product
from pocketrec.quantize.schemes.scaled_palette import ScaledPalette
from pocketrec.quantize.schemes.sparse import Sparse
from pocketrec.quantize.tensor import (
    Float16Tensor,
    LinearTensor,
    PaletteTensor,
    PartsTensor,
    ProductTensor,
    QuantizedTensor,
    ScaledPaletteTensor,
    SparseTensor,
)
from pocketrec.quantize.usage import Usage

Floats = npt.NDArray[np.float32]
MakeTable = Callable[..., Floats]


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        (Linear(), 100 * 64 + 100 * 2),
        (Linear(bits=4), 100 * 32 + 100 * 2),
        (Linear(bits=4, symmetric=False), 100 * 32 + 100 * 2 + 50),
        (Linear(granularity="per_block", block_size=16), 100 * 64 + 100 * 4 * 2),
        (Palette(bits=3), 100 * 24 + 8 * 2),
        (Palette(bits=2, groups=4), 100 * 16 + 4 * 4 * 2),
        (ScaledPalette(bits=3), 100 * 24 + 8 + 100 * 2),
        (Product(bits=8, width=4), 100 * 16 + 16 * 256 * 4 * 2),
        (Sparse(sparsity=0.75), 100 * 16 * 2 + 100 * 8),
        (HotRows(share=0.1), 10 * 66 + 90 * 34 + 13),
    ],
)
def test_size_counts_codes_scales_zero_points_codebooks_and_masks(
    scheme: Scheme, expected: int, make_table: MakeTable
) -> None:
    done = scheme.quantize("w", make_table(100, 64, padding=False), usage=Usage(popularity=np.arange(100.0)))
    assert done.size_bytes == expected
    assert done.bits_per_value == pytest.approx(8 * expected / 6400)


@pytest.mark.parametrize(
    "scheme",
    [
        Linear(bits=4, symmetric=False),
        Palette(bits=2, groups=5, axis="rows"),
        Product(bits=4),
        Sparse(),
        HotRows(),
    ],
)
def test_rows_read_alone_are_the_rows_of_the_whole(scheme: Scheme, make_table: MakeTable) -> None:
    done = scheme.quantize("w", make_table(100, 16), usage=Usage(popularity=np.arange(100.0)))
    assert np.array_equal(done.dequantize_rows(30, 55), done.dequantize()[30:55])


def test_a_worked_example() -> None:
    tensor = LinearTensor(
        name="w",
        shape=(2, 4),
        bits=4,
        granularity="per_block",
        block_size=2,
        codes=np.array([[0, 1, 2, 3], [15, 14, 13, 12]], np.uint8),
        scales=np.array([[1, 2], [0.5, 4]], np.float16),
        zero_points=np.array([[0, 2], [15, 13]], np.uint8),
    )
    assert tensor.dequantize().tolist() == [[0, 1, 0, 2], [0, -0.5, 0, -4]]
    assert tensor.size_bytes == 4 + 8 + 2
    assert tensor.describe() == "linear 4 bit per_block of 2, scales, zero points"


def test_sqnr_is_that_of_the_definition(make_table: MakeTable) -> None:
    table = make_table(40, 16)
    done = Linear(bits=4).quantize("w", table)
    noise = np.square(done.dequantize().astype(float) - table).sum()
    assert done.sqnr_db(table) == pytest.approx(10 * math.log10(np.square(table.astype(float)).sum() / noise))
    assert done.sqnr_db(done.dequantize()) == math.inf


@pytest.mark.parametrize(
    ("scheme", "expected", "fields_of_it"),
    [
        (Linear(), LinearTensor, {"codes", "scales", "zero_points"}),
        (Palette(bits=2), PaletteTensor, {"codes", "codebooks"}),
        (Product(bits=4), ProductTensor, {"codes", "codebooks", "basis"}),
        (ScaledPalette(), ScaledPaletteTensor, {"codes", "scales", "codebooks"}),
        (Float16(), Float16Tensor, {"codes"}),
        (Sparse(), SparseTensor, {"mask", "kept"}),
        (HotRows(), PartsTensor, {"parts", "mask"}),
    ],
)
def test_a_form_has_only_the_arrays_that_it_is_read_from_and_can_be_sent_to_a_worker(
    scheme: Scheme, expected: type, fields_of_it: set[str], make_table: MakeTable
) -> None:
    done = scheme.quantize("w", make_table(100, 16), usage=Usage(popularity=np.arange(100.0)))
    about = {"name", "shape", "bits", "granularity", "block_size"}
    assert type(done) is expected
    assert isinstance(done, QuantizedTensor)
    assert done.scheme == scheme.scheme
    assert {each.name for each in fields(done)} - about == fields_of_it
    sent = pickle.loads(pickle.dumps(done))
    assert type(sent) is expected
    assert sent.dequantize().tobytes() == done.dequantize().tobytes()
    assert sent.describe() == done.describe()
