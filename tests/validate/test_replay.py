"""Golden vectors pass on the runtime that made them, and fail on any other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pocketrec.contract import Contract
from pocketrec.errors import ExecutionError, UsageError
from pocketrec.evaluation import RankingData
from pocketrec.validate.replay import GoldenVector, ReplayResult, kept_best, replay


@pytest.fixture
def golden(fake: Any, data: RankingData) -> GoldenVector:
    inputs = {name: array[:2] for name, array in data.inputs.items()}
    return GoldenVector(function="main", name="two rows", inputs=inputs, outputs=fake().run(inputs))


def run(golden: list[GoldenVector], runtime: Any, contract: Contract, **kw: Any) -> dict[str, ReplayResult]:
    tolerances = kw.pop("tolerances", {"scores": 1e-4})
    found = replay(golden, runtime, contract, function="main", tolerances=tolerances, **kw)
    return {each.output: each for each in found}


def test_the_same_runtime_passes_whatever_its_shapes(
    fake: Any, contract: Contract, golden: GoldenVector
) -> None:
    found = run([golden], fake(batch=1, length=6), contract)
    assert all(each.passed for each in found.values())
    assert set(found) == {"scores", "best_ids"}


def test_a_difference_beyond_the_tolerance_fails_in_words(
    fake: Any, contract: Contract, golden: GoldenVector
) -> None:
    def spoil(outputs: dict[str, Any]) -> dict[str, Any]:
        return {"scores": outputs["scores"] + np.float32(0.5), "best_ids": outputs["best_ids"][:, ::-1]}

    found = run([golden], fake(spoil=spoil), contract)
    assert "main.scores on 'two rows': differs by 0.5, allowed 0.0001" in found["scores"].message
    assert "ids differ" in found["best_ids"].message
    assert not any(each.passed for each in found.values())


def test_no_vector_no_tolerance_and_a_failing_engine_are_failures(
    fake: Any, contract: Contract, golden: GoldenVector
) -> None:
    assert not run([], fake(), contract)[""].passed
    assert "no tolerance" in run([golden], fake(), contract, tolerances={})["scores"].message

    def spoil(outputs: dict[str, Any]) -> dict[str, Any]:
        raise ExecutionError("id 99 is beyond the table")

    found = run([golden], fake(spoil=spoil), contract)
    assert "beyond the table" in found["scores"].message
    assert not found["scores"].passed


def test_a_vector_of_another_function_is_an_error(
    fake: Any, contract: Contract, golden: GoldenVector
) -> None:
    with pytest.raises(UsageError, match="of function 'other'; expected 'main'"):
        run([replace(golden, function="other")], fake(), contract)


def test_the_ten_best_stay_within_a_tie_or_are_counted() -> None:
    scores = np.linspace(0, 8, 40, dtype=np.float32)[None].repeat(2, 0)
    assert kept_best(scores, scores + 0.01) == [1.0, 1.0]
    swapped = scores.copy()
    swapped[1, :4], swapped[1, -4:] = scores[1, -4:], scores[1, :4]
    assert kept_best(scores, swapped) == [1.0, 0.6]
    tied = np.zeros((1, 40), np.float32)
    assert kept_best(tied, tied[:, ::-1] + np.arange(40, dtype=np.float32) * 1e-9) == [1.0]
    assert kept_best(scores[:, :19], scores[:, :19]) == []
