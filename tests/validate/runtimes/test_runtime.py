"""Inputs fit an artifact or are refused in one line that says what came and what fits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pocketrec.contract import Contract
from pocketrec.errors import InputError
from pocketrec.validate.runtimes.runtime import (
    TensorSpec,
    check_inputs,
    contract_spec,
    is_coarse,
    with_rounding,
)

IDS = TensorSpec(name="ids", dtype="int32", shape=(None, 6), bounds=((1, 8), (6, 6)))
AGE = TensorSpec(name="age", dtype="float32", shape=(None,), bounds=((1, None),))
SIZES = TensorSpec(name="x", dtype="float32", shape=(1, 4), enumerated=((1, 4), (2, 8)))
OPTIONAL = TensorSpec(name="more", dtype="float32", shape=(2,), optional=True)


def ids(rows: int, length: int = 6, dtype: Any = np.int32) -> dict[str, Any]:
    return {"ids": np.zeros((rows, length), dtype)}


@pytest.mark.parametrize(
    ("specs", "inputs"),
    [
        ((IDS,), ids(1)),
        ((IDS,), ids(8)),
        ((IDS, OPTIONAL), ids(1)),
        ((AGE,), {"age": np.zeros(10_000, np.float32)}),
        ((SIZES,), {"x": np.zeros((2, 8), np.float32)}),
        ((OPTIONAL,), {"more": np.zeros(2, np.float32)}),
        ((), {}),
    ],
)
def test_what_fits_passes(specs: tuple[TensorSpec, ...], inputs: dict[str, Any]) -> None:
    check_inputs(specs, inputs, where="m")


@pytest.mark.parametrize(
    ("specs", "inputs", "message"),
    [
        ((IDS,), {}, r"m: input 'ids' is missing; pass int32 \[1\.\.8, 6\]"),
        ((IDS,), {**ids(1), "other": 1}, "m: input 'other' is not known; expected ids"),
        ((), {"other": 1}, "m: input 'other' is not known; expected none"),
        ((IDS,), {"ids": [[1]]}, "m: input 'ids' is a list; expected a NumPy array"),
        ((IDS,), ids(1, dtype=np.int64), "m: input 'ids' is int64; expected int32"),
        ((IDS,), ids(9), r"m: input 'ids' has shape \(9, 6\); expected \[1\.\.8, 6\]"),
        ((IDS,), ids(0), r"has shape \(0, 6\)"),
        ((IDS,), ids(1, 7), r"has shape \(1, 7\)"),
        ((IDS,), {"ids": np.zeros(6, np.int32)}, r"has shape \(6,\)"),
        ((AGE,), {"age": np.zeros(0, np.float32)}, r"expected \[1\.\.\]"),
        ((SIZES,), {"x": np.zeros((2, 4), np.float32)}, r"expected one of \(1, 4\), \(2, 8\)"),
        ((OPTIONAL,), {"more": np.zeros(3, np.float32)}, r"has shape \(3,\); expected \[2\]"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_came_and_what_fits(
    specs: tuple[TensorSpec, ...], inputs: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        check_inputs(specs, inputs, where="m")


def test_a_contract_bounds_its_dims_and_without_one_they_are_free(contract: Contract) -> None:
    history = contract.functions["main"].inputs[0]
    assert contract_spec(history, contract).bounds == ((1, 8), (1, 6))
    free = contract_spec(history, None)
    assert (free.shape, free.bounds) == ((None, None), ((1, None), (1, None)))


@pytest.mark.parametrize(
    ("precision", "coarse"),
    [
        ("float32", False),
        ("float64", False),
        ("float16 storage, float32 accumulation", True),
        ("float32, int8 activations", True),
    ],
)
def test_float16_and_inputs_of_8_bits_are_coarse(precision: str, coarse: bool) -> None:
    assert is_coarse(precision) is coarse


def test_rounded_inputs_are_said_beside_the_precision() -> None:
    assert with_rounding("float32", {}) == "float32"
    assert with_rounding("float32", {"pocketrec.activations": "static"}) == "float32, static int8 activations"
