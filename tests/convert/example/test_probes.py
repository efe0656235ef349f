"""Probes from an example hold what the example shows, and a row with nothing in it."""

from __future__ import annotations

import numpy as np

from pocketrec.contract import Contract, Dim, Feature, Output, Signature
from pocketrec.convert.example.probes import Inputs, probes_from_example
from pocketrec.evaluation import Probe

HISTORY = np.array([[1, 2, 0], [3, 0, 0], [4, 5, 6]], np.int32)
PRICES = np.array([[0.5, 0.0], [1.5, 2.5], [3.5, 0.25]], np.float32)


def probes(*, runs: bool = True) -> dict[str, Probe]:
    inputs = (
        Feature(name="history", kind="dense", shape=("batch", 3)),
        Feature(name="price", kind="dense", dtype="float32", shape=("batch", 2)),
    )
    output = Output(name="y", meaning="embedding", shape=("batch", 4))
    contract = Contract(
        functions={"main": Signature(inputs=inputs, outputs=(output,))}, dims={"batch": Dim(max=8)}
    )

    def accepts(given: Inputs) -> bool:
        return runs

    found = probes_from_example([HISTORY, PRICES], contract, runs=accepts)
    return {each.name: each for each in found}


def test_one_row_is_empty_where_the_example_pads_with_zeros() -> None:
    empty = probes()["an empty row"].inputs
    assert not empty["history"][0].any()
    np.testing.assert_array_equal(empty["history"][1:], HISTORY[1:])
    np.testing.assert_array_equal(empty["price"], PRICES)


def test_batches_of_one_and_of_several_are_among_them() -> None:
    sizes = {len(each.inputs["history"]) for each in probes().values()}
    assert sizes == {1, 3, 6}


def test_what_the_module_does_not_run_on_is_left_out() -> None:
    assert list(probes(runs=False)) == ["example"]
