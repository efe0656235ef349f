"""Any rows run on an artifact of fixed shapes, and give what they give without it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pocketrec.contract import Contract
from pocketrec.errors import ExecutionError, InputError
from pocketrec.evaluation import RankingData
from pocketrec.validate.runtimes.fit import run_fitted


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


def test_short_histories_are_filled_on_the_left_with_the_padding_id(
    fake: Any, contract: Contract, data: RankingData
) -> None:
    runtime = fake(batch=1, length=6)
    inputs = {"history": np.full((1, 2), 9, np.int32), "age": data.inputs["age"][:1]}
    run_fitted(runtime, contract, contract.functions["main"], inputs)
    assert runtime.calls[0]["history"].tolist() == [[0, 0, 0, 0, 9, 9]]


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
