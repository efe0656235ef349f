"""Error feedback: the outputs move less than by rounding to nearest, whatever the scheme and the chunks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pocketrec.errors import PlanError
from pocketrec.quantize.feedback import feedback_of, output_noise
from pocketrec.quantize.schemes import RowScheme
from pocketrec.quantize.schemes.base import join
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.palette import Palette
from pocketrec.quantize.schemes.product import Product
from pocketrec.quantize.schemes.scaled_palette import ScaledPalette
from pocketrec.quantize.usage import UNKNOWN, Usage

Floats = npt.NDArray[np.float32]
MakeTable = Callable[..., Floats]

PAIRS: list[tuple[RowScheme[Any], RowScheme[Any]]] = [
    (Linear(), Linear(rounding="feedback")),
    (Linear(bits=4, clipping="search"), Linear(bits=4, clipping="search", rounding="feedback")),
    (Linear(bits=4, symmetric=False), Linear(bits=4, symmetric=False, rounding="feedback")),
    (
        Linear(bits=4, granularity="per_block", block_size=16),
        Linear(bits=4, granularity="per_block", block_size=16, rounding="feedback"),
    ),
    (Linear(granularity="per_tensor"), Linear(granularity="per_tensor", rounding="feedback")),
    (
        Linear(granularity="per_tensor", symmetric=False),
        Linear(granularity="per_tensor", symmetric=False, rounding="feedback"),
    ),
    (Palette(bits=4), Palette(bits=4, rounding="feedback")),
    (Palette(bits=3, groups=8), Palette(bits=3, groups=8, rounding="feedback")),
    (ScaledPalette(bits=3), ScaledPalette(bits=3, rounding="feedback")),
    (ScaledPalette(bits=2, block_size=16), ScaledPalette(bits=2, block_size=16, rounding="feedback")),
]
NAMES = [str(each) for each, _ in PAIRS]


def correlated(columns: int) -> Usage:
    """A moment of few strong directions, as that of real layers."""
    rng = np.random.default_rng(7)
    inputs = rng.standard_normal((400, columns // 4)) @ rng.standard_normal((columns // 4, columns))
    inputs += 0.3 * rng.standard_normal(inputs.shape)
    return Usage(moment=inputs.T @ inputs / len(inputs))


@pytest.mark.parametrize(("nearest", "feedback"), PAIRS, ids=NAMES)
def test_outputs_move_less_than_by_rounding_to_nearest(
    nearest: RowScheme[Any], feedback: RowScheme[Any], make_table: MakeTable
) -> None:
    table, usage = make_table(300, 64), correlated(64)
    assert usage.moment is not None
    plain = output_noise(usage.moment, nearest.quantize("w", table, usage=usage).dequantize() - table)
    better = output_noise(usage.moment, feedback.quantize("w", table, usage=usage).dequantize() - table)
    assert better < 0.6 * plain


@pytest.mark.parametrize(("nearest", "feedback"), PAIRS, ids=NAMES)
def test_columns_that_act_apart_are_rounded_to_nearest(
    nearest: RowScheme[Any], feedback: RowScheme[Any], make_table: MakeTable
) -> None:
    table, usage = make_table(50, 32), Usage(moment=np.diag(np.arange(1.0, 33)))
    one, other = (each.quantize("w", table, usage=usage).dequantize() for each in (nearest, feedback))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("feedback", [each for _, each in PAIRS], ids=NAMES)
@pytest.mark.parametrize("columns", [32, 160])
def test_a_table_in_chunks_gives_the_bytes_of_the_whole(
    feedback: RowScheme[Any], columns: int, make_table: MakeTable
) -> None:
    table, usage = make_table(5000, columns), correlated(columns)
    codec = feedback.fit("w", table, usage=usage)
    whole = codec.encode(table)
    chunked = join([codec.encode(each) for each in np.split(table, [1, 70, 4097])])
    assert whole.codes.tobytes() == chunked.codes.tobytes()


@pytest.mark.parametrize("feedback", [each for _, each in PAIRS], ids=NAMES)
def test_padding_stays_zero(feedback: RowScheme[Any], make_table: MakeTable) -> None:
    table, usage = make_table(100, 32), correlated(32)
    table[5, 16:] = 0  # a block of zeros beside numbers
    done = feedback.quantize("w", table, usage=usage).dequantize()
    assert not done[0].any()
    assert np.isfinite(done).all()


def test_a_tensor_without_gradients_is_refused_by_name() -> None:
    with pytest.raises(PlanError, match=r"^item: rounding = 'feedback' needs gradients .* 'nearest'$"):
        Linear(rounding="feedback").quantize("item", np.ones((4, 8), np.float32))
    assert feedback_of("item", "nearest", UNKNOWN) is None


@pytest.mark.parametrize("scheme", [Linear(rounding="feedback"), Product(rounding="feedback")])
def test_gradients_that_are_not_finite_are_refused_by_name(scheme: RowScheme[Any]) -> None:
    """Product codes were NaN throughout, and codes in a basis ended in a traceback."""
    usage = Usage(moment=np.full((8, 8), np.nan))
    with pytest.raises(PlanError, match=r"^item: gradients of the evaluated outputs are not finite"):
        scheme.quantize("item", np.ones((4, 8), np.float32), usage=usage)


def test_a_moment_of_low_rank_or_of_nothing_is_damped(make_table: MakeTable) -> None:
    table = make_table(40, 16)
    for moment in (np.zeros((16, 16)), np.ones((16, 16))):
        done = Linear(bits=4, rounding="feedback").quantize("w", table, usage=Usage(moment=moment))
        assert done.sqnr_db(table) > 5
