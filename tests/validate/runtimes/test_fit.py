"""Any rows run on an artifact of fixed shapes, and give what they give without it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pocketrec.contract import Contract, Feature
from pocketrec.errors import ExecutionError, InputError
from pocketrec.evaluation import RankingData
from pocketrec.validate.runtimes.fit import padded, run_fitted
from pocketrec.validate.runtimes.runtime import TensorSpec


@pytest.mark.parametrize(("batch", "length"), [(None, None), (1, 6), (4, 6), (3, None)])
def test_fixed_shapes_give_the_rows_that_free_shapes_give(
    fake: Any, contract: Contract, data: RankingData, batch: int | None, length: int | None
) -> None:
    inputs = {"history": data.inputs["history"][:7, :4], "age": data.inputs["age"][:7]}
    expected = fake().run(inputs)
    actual = run_fitted(fake(batch=batch, length=length), contract, contract.functions["main"], inputs)
    scores: npt.NDArray[np.float32] = actual["scores"].astype(np.float32)
    np.testing.assert_allclose(scores, expected["scores"], atol=1e-6)
    np.testing.assert_array_equal(actual["best_ids"], expected["best_ids"])


def test_calls_have_as_many_rows_as_are_asked_for(fake: Any, contract: Contract, data: RankingData) -> None:
    runtime, fixed = fake(), fake(batch=3)
    for each in (runtime, fixed):
        run_fitted(each, contract, contract.functions["main"], data.inputs, rows=5)
    assert [len(each["age"]) for each in runtime.calls] == [5, 5, 5, 5]
    assert {len(each["age"]) for each in fixed.calls} == {3}, "the artifact's own batch"


def test_short_histories_are_filled_on_the_left_with_the_padding_id(
    fake: Any, contract: Contract, data: RankingData
) -> None:
    runtime = fake(batch=1, length=6)
    inputs = {"history": np.full((1, 2), 9, np.int32), "age": data.inputs["age"][:1]}
    run_fitted(runtime, contract, contract.functions["main"], inputs)
    assert runtime.calls[0]["history"].tolist() == [[0, 0, 0, 0, 9, 9]]


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_runs_along_a_history_is_filled_with_zeros_on_its_side(contract: Contract, side: Any) -> None:
    """A mask has the artifact's length, else it is refused; a row's own numbers stay as they are."""
    main = contract.functions["main"]
    history = replace(main.inputs[0], padding_side=side)
    along = (
        Feature(name="mask", kind="mask", dtype="bool", shape=history.shape),
        Feature(name="stars", kind="dense", dtype="float32", shape=(*history.shape, 2)),
        Feature(name="age", kind="dense", dtype="float32", shape=("batch", 3)),
    )
    signature = replace(main, inputs=(history, *along))
    shapes = {"history": (1, 4), "mask": (1, 4), "stars": (1, 4, 2), "age": (1, 3)}
    given = {
        "history": np.array([[5, 6]], np.int32),
        "mask": np.ones((1, 2), np.bool_),
        "stars": np.ones((1, 2, 2), np.float32),
        "age": np.ones((1, 3), np.float32),
    }
    filled = {
        each.name: padded(
            given[each.name],
            each,
            TensorSpec(name=each.name, dtype=each.dtype, shape=shapes[each.name]),
            contract,
            signature,
        )
        for each in signature.inputs
    }
    expected = [0, 0, 1, 1] if side == "left" else [1, 1, 0, 0]
    assert {name: each.shape for name, each in filled.items()} == shapes
    assert (filled["history"] != 0).astype(int).tolist() == [expected]
    assert filled["mask"].astype(int).tolist() == [expected]
    assert filled["stars"].astype(int).tolist() == [[[each] * 2 for each in expected]]
    short = TensorSpec(name="mask", dtype="bool", shape=(1, 1))
    with pytest.raises(InputError, match="'mask' has 2 entries along axis 1; the artifact takes 1 at most"):
        padded(given["mask"], along[0], short, contract, signature)


def test_no_call_is_larger_than_the_contract_allows(fake: Any, contract: Contract, data: RankingData) -> None:
    runtime = fake()
    run_fitted(runtime, contract, contract.functions["main"], data.inputs)
    assert [len(call["age"]) for call in runtime.calls] == [8, 8, 4]


def test_a_history_longer_than_the_artifact_takes_is_an_error(
    fake: Any, contract: Contract, data: RankingData
) -> None:
    with pytest.raises(InputError, match="'history' has 6 ids along axis 1; the artifact takes 4"):
        run_fitted(fake(batch=1, length=4), contract, contract.functions["main"], data.inputs)


def test_an_output_with_too_few_rows_is_an_error(fake: Any, contract: Contract, data: RankingData) -> None:
    def spoil(outputs: dict[str, Any]) -> dict[str, Any]:
        return {name: array[:1] for name, array in outputs.items()}

    with pytest.raises(ExecutionError, match=r"'scores' has shape \(1, 40\); expected 8 rows"):
        run_fitted(fake(spoil=spoil), contract, contract.functions["main"], data.inputs)


def test_a_missing_input_is_named(fake: Any, contract: Contract, data: RankingData) -> None:
    with pytest.raises(InputError, match="'age' is missing"):
        run_fitted(fake(), contract, contract.functions["main"], {"history": data.inputs["history"]})
