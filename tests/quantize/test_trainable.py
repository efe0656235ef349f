"""Trainable forms mean what the stored ones mean, keep zeros, and pass gradients to codes and levels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.quantize.conftest import MakeTable

from pocketrec.quantize.schemes import Scheme
from pocketrec.quantize.schemes.float16 import Float16
from pocketrec.quantize.schemes.hot_rows import HotRows
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.palette import Palette
from pocketrec.quantize.schemes.product import Product
from pocketrec.quantize.schemes.scaled_palette import ScaledPalette
from pocketrec.quantize.tensor import has_basis
from pocketrec.quantize.trainable import trainable
from pocketrec.quantize.usage import Usage

SCHEMES: list[Scheme] = [
    Linear(bits=8),
    Linear(bits=4, clipping="search"),
    Linear(bits=4, symmetric=False),
    Linear(bits=4, granularity="per_block", block_size=8),
    Linear(bits=8, granularity="per_tensor"),
    Palette(bits=4),
    Palette(bits=2, groups=4),
    Palette(bits=3, groups=2, axis="rows"),
    ScaledPalette(bits=2),
    ScaledPalette(bits=3, block_size=8),
    Product(bits=4, width=4),
    Product(bits=6, width=2, shared=True),
    HotRows(share=0.25, cold_bits=2),
    HotRows(share=0.25, hot_bits=4, cold_bits=4, cold_width=4),
    Product(bits=4, width=3, basis="principal"),
    HotRows(share=0.25, hot_bits=4, cold_bits=4, cold_width=4, cold_basis="principal"),
]
NAMES = [f"{each.scheme}-{place}" for place, each in enumerate(SCHEMES)]


@pytest.fixture(params=SCHEMES, ids=NAMES)
def made(request: Any, make_table: MakeTable) -> tuple[Any, Any]:
    """A table and its compressed form."""
    table = make_table(64, 16)
    usage = Usage(popularity=np.arange(64, 0, -1).astype(np.float64))
    return table, request.param.quantize("item", table, usage=usage)


def test_a_form_means_before_training_what_is_stored(made: tuple[Any, Any]) -> None:
    table, form = made
    student = trainable(form, table)
    noise = 1e-6 if has_basis(form) else 0.0  # a product may be summed in another order
    np.testing.assert_allclose(student().detach().numpy(), student.stored().dequantize(), rtol=0, atol=noise)
    np.testing.assert_allclose(student().detach().numpy(), form.dequantize(), atol=1e-6)


@pytest.mark.parametrize(
    "scheme", [Linear(bits=4, rounding="feedback"), Palette(bits=3, rounding="feedback")]
)
def test_codes_that_feedback_chose_are_those_that_training_begins_with(
    scheme: Scheme, make_table: MakeTable
) -> None:
    table = make_table(64, 16)
    draw = np.random.default_rng(1).standard_normal((16, 16))
    form: Any = scheme.quantize("item", table, usage=Usage(moment=draw @ draw.T))
    nearest: Any = replace(scheme, rounding="nearest").quantize("item", table)  # type: ignore[type-var]
    assert not np.array_equal(form.codes, nearest.codes)
    begun: Any = trainable(form, table).stored()
    np.testing.assert_array_equal(begun.codes, form.codes)


def test_after_training_it_still_means_what_is_stored_and_zeros_are_zero(made: tuple[Any, Any]) -> None:
    table, form = made
    student = trainable(form, table)
    goal = torch.from_numpy(table) * 1.3
    optimizer = torch.optim.Adam(student.groups(0.01))
    losses = []
    for _ in range(40):
        loss = (student() - goal).square().sum()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert min(losses) < losses[0]
    stored = student.stored()
    np.testing.assert_array_equal(student().detach().numpy(), stored.dequantize())
    assert type(stored) is type(form)
    assert stored.size_bytes == form.size_bytes
    assert not stored.dequantize()[0].any()


def test_codes_and_levels_both_get_gradients(made: tuple[Any, Any]) -> None:
    table, form = made
    student = trainable(form, table)
    student().square().sum().backward()
    trained = [each for each in student.parameters() if each.requires_grad]
    assert len(trained) >= 2
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in trained)


def test_a_form_without_levels_is_refused(make_table: MakeTable) -> None:
    table = make_table(4, 8)
    with pytest.raises(TypeError, match="'float16' has no levels"):
        trainable(Float16().quantize("item", table), table)
