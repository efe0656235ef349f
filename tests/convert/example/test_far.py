"""Probes far from the example reach what the example does not show, and what the module refuses is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.convert.example.far import far_probes
from pocketrec.convert.example.probes import Inputs
from pocketrec.errors import BeyondInt32
from pocketrec.evaluation import FarProbes

HISTORY = np.array([[5, 2, 7, 1], [3, 6, 5, 2]], np.int32)  # no padding in sight
PRICES = np.array([[0.5, 3.0], [1.5, 4.0]], np.float32)  # the second column may be an id
WHEN = np.array([1, 2], np.int64)
EXAMPLE: Inputs = {"history": HISTORY, "price": PRICES, "when": WHEN}

CONTRACT = Contract(
    functions={
        "main": Signature(
            inputs=(
                Feature(name="history", kind="id_sequence", shape=("batch", 4), vocabulary="item"),
                Feature(
                    name="price", kind="dense", dtype="float32", shape=("batch", 2), minimum=-1.0, maximum=2.0
                ),
                Feature(name="when", kind="dense", dtype="int64", shape=("batch",)),
            ),
            outputs=(Output(name="y", meaning="embedding", shape=("batch", 4)),),
        )
    },
    dims={"batch": Dim(max=8)},
    vocabularies={"item": VocabularySpec(size=9, padding_id=4)},
)


def _floats(array: Any) -> npt.NDArray[np.float32]:
    return np.asarray(array, np.float32)


def ones(inputs: Inputs) -> Mapping[str, Any]:
    return {"y": np.ones((len(inputs["when"]), 4), np.float32)}


def made(answers: Callable[[Inputs], Mapping[str, Any]] = ones, within: bool = False) -> dict[str, Inputs]:
    return {each.probe.name: each.probe.inputs for each in found(answers, within=within).probes}


def found(answers: Callable[[Inputs], Mapping[str, Any]] = ones, within: bool = False) -> FarProbes:
    return far_probes(EXAMPLE, CONTRACT, answers, within=within)


def test_real_numbers_leave_the_example_and_what_may_be_an_id_stays() -> None:
    probes = made()
    factors = {"zeros": 0.0, "the other sign": -1.0, "a millionth": 1e-6, "a hundred times": 100.0}
    for name, factor in factors.items():
        np.testing.assert_allclose(_floats(probes[name]["price"])[:, 0], PRICES[:, 0] * factor, rtol=1e-6)
        np.testing.assert_array_equal(probes[name]["price"][:, 1], PRICES[:, 1])
        np.testing.assert_array_equal(probes[name]["history"], HISTORY)


def test_ids_reach_both_ends_of_their_table_and_padding_that_the_example_has_not() -> None:
    probes = made()
    assert (probes["first ids"]["history"] == 0).all()
    assert (probes["last ids"]["history"] == 8).all()
    assert (probes["nothing but padding"]["history"] == 4).all()
    left, right = probes["padding on the left"]["history"], probes["padding on the right"]["history"]
    assert [(row == 4).tolist() for row in left] == [
        [True, False, False, False],
        [True, True, False, False],
        [True, True, True, False],
    ]
    assert [(row == 4).tolist() for row in right] == [row[::-1] for row in (left == 4).tolist()]


def test_int64_reaches_its_ends() -> None:
    ends = {each for probe in made().values() for each in probe["when"].tolist()}
    assert {2**31 - 1, 2**31} <= ends


def test_a_range_that_was_declared_is_kept() -> None:
    for name, inputs in made(within=True).items():
        assert inputs["price"][:, 0].min() >= -1, name
        assert inputs["price"][:, 0].max() <= 2, name


def test_what_the_module_does_not_answer_is_left_out_with_the_reason() -> None:
    def picky(inputs: Inputs) -> Mapping[str, Any]:
        if (_floats(inputs["price"]) < 0).any():
            raise ValueError("prices are positive")
        with np.errstate(divide="ignore"):
            return {"y": 1 / _floats(inputs["price"])}

    left_out = found(picky).left_out
    assert left_out["the other sign"] == "the module raises ValueError"
    assert left_out["zeros"] == "the module gives NaN or infinity"
    assert "a hundred times" in made(picky)


def test_numbers_beyond_an_outputs_int32_are_told_to_a_draft_only() -> None:
    def large(inputs: Inputs) -> Mapping[str, Any]:
        if inputs["when"].max() > 2**31 - 1:
            raise BeyondInt32("y", 2**31)
        return ones(inputs)

    with pytest.raises(BeyondInt32, match="output y: the module gives 2147483648"):
        found(large)
    assert "output y" in found(large, within=True).left_out["beyond int32"]
