"""One row of many that is wrong is found, whatever the mean of all says."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pocketrec.contract import Contract, Feature, Output, Signature
from pocketrec.evaluation import Asked, RankingData
from pocketrec.recipe import Evaluate, Gates
from pocketrec.report import TensorParity
from pocketrec.validate.evidence import examine_reference, examine_target
from pocketrec.validate.gates import check_gates
from pocketrec.validate.measure import rows
from pocketrec.validate.measure.rows import KeptRows, check_rows, kept_columns
from pocketrec.validate.runtimes.runtime import Array
from pocketrec.workers import Workers

USERS, ITEMS = 500, 40
SCORES = Output(name="scores", meaning="score", shape=("batch", ITEMS), vocabulary="item")
IDS = Output(name="ids", meaning="top_k_ids", dtype="int32", shape=("batch", 5), vocabulary="item")
BEST = Output(name="best", meaning="top_k_scores", shape=("batch", 5))
SIGNATURE = Signature(
    inputs=(Feature(name="x", kind="dense", dtype="float32", shape=("batch",)),), outputs=(SCORES, IDS, BEST)
)


def listed(scores: npt.NDArray[np.float32]) -> dict[str, Array]:
    ids = np.argsort(-scores, axis=1, kind="stable")[:, :5].astype(np.int32)
    return {"scores": scores, "ids": ids, "best": np.take_along_axis(scores, ids, 1)}


def kept(values: Mapping[str, Array], *names: str) -> KeptRows:
    return KeptRows(what="evaluation row", values=values, whole=frozenset(names or values))


def reference() -> npt.NDArray[np.float32]:
    return np.random.default_rng(3).normal(size=(USERS, ITEMS)).astype(np.float32)


def checked(one: Mapping[str, Array], two: Mapping[str, Array], **kwargs: Any) -> dict[str, TensorParity]:
    found = check_rows(kept(one), kept(two), SIGNATURE, function="main", tie_tolerance=1e-5, **kwargs)
    return {each.output: each for each in found}


def test_float_noise_everywhere_is_small_and_equal_rows_have_none() -> None:
    scores = reference()
    noise = np.random.default_rng(4).normal(size=scores.shape).astype(np.float32) * 1e-6
    found = checked(listed(scores), {**listed(scores), "scores": scores + noise})
    assert found["scores"].max_abs_error < 1e-5
    assert found["scores"].sqnr_db > 100
    assert found["best"].sqnr_db == math.inf
    assert found["ids"].mismatches == 0


def test_the_one_row_whose_scores_are_negated_is_named() -> None:
    scores = reference()
    wrong = scores.copy()
    wrong[317] *= -1
    found = checked(listed(scores), listed(wrong))
    assert found["scores"].worst_probe == "evaluation row 317 of 500"
    assert found["scores"].max_abs_error == pytest.approx(2 * np.abs(scores[317]).max())
    assert found["scores"].sqnr_db == pytest.approx(-6.02, abs=3)
    assert found["ids"].worst_probe == "evaluation row 317 of 500"
    assert found["ids"].mismatches >= 4


def test_a_row_of_small_numbers_is_held_to_the_scale_of_all() -> None:
    scores = reference()
    scores[8] *= 1e-4
    wrong = scores.copy()
    wrong[8] += np.float32(2e-4)
    assert 60 < checked(listed(scores), listed(wrong))["scores"].sqnr_db < 80


@pytest.mark.parametrize(
    ("value", "failure"), [(math.nan, "1 NaN and 0 infinities"), (math.inf, "0 NaN and 1 infinities")]
)
def test_a_number_that_is_none_fails_its_row(value: float, failure: str) -> None:
    scores = reference()
    wrong = {**listed(scores), "scores": scores.copy()}
    wrong["scores"][99, 7] = value
    found = checked(listed(scores), wrong)["scores"]
    assert found.failure.startswith(failure)
    assert found.worst_probe == "evaluation row 99 of 500"


def test_masked_scores_are_no_difference() -> None:
    scores = reference()
    scores[:, 3] = -np.inf
    assert checked(listed(scores), listed(scores))["scores"].sqnr_db == math.inf


def test_a_swap_of_equal_scores_is_a_tie_and_of_others_none() -> None:
    scores = reference()
    scores[5, :2] = 9.0
    swapped = listed(scores)
    swapped["ids"] = swapped["ids"].copy()
    swapped["ids"][5, :2] = swapped["ids"][5, 1::-1]
    assert checked(listed(scores), swapped)["ids"].mismatches == 0
    swapped["ids"][6, :2] = swapped["ids"][6, 1::-1]
    found = checked(listed(scores), swapped)["ids"]
    assert (found.mismatches, found.worst_probe) == (2, "evaluation row 6 of 500")


def test_an_output_that_is_missing_or_of_another_shape_fails() -> None:
    values = listed(reference())
    lacking = checked(values, {name: each for name, each in values.items() if name != "best"})
    assert lacking["best"].failure.startswith("none for all evaluation rows")
    short = checked(values, {**values, "best": values["best"][:, :4]})
    assert short["best"].failure.startswith("(500, 4) for all evaluation rows, expected (500, 5)")


def test_what_is_kept_of_many_rows_is_the_same_few_columns_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(60, dtype=np.float32).reshape(3, 20)
    assert kept_columns(values, 3).shape == (3, 20)
    monkeypatch.setattr(rows, "_MOST_BYTES", 4 * 3 * 8)
    few = kept_columns(values, 3)
    assert few.shape == (3, 8)
    assert (np.diff(few, axis=0) == 20).all()
    assert np.array_equal(few[1:], kept_columns(values[1:], 3))
    assert kept_columns(values, 1000).shape == (3, 1)


Fake = Callable[..., Any]


@pytest.mark.parametrize("engine", [Workers(), Workers(count=2, engine="threading")])
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_one_user_of_forty_with_negated_scores_fails_the_build(
    engine: Workers, precision: str, contract: Contract, evaluate: Evaluate, fake: Fake
) -> None:
    """The probes hold a few real rows; the fortieth user is on none of them."""
    rng = np.random.default_rng(1)
    inputs = {
        "history": rng.integers(1, ITEMS, (40, 6)).astype(np.int32),
        "age": rng.normal(size=(40, 1)).astype(np.float32),
    }
    data = RankingData(inputs=inputs, positives=rng.integers(1, ITEMS, 40))
    known = examine_reference(
        {"main": fake()}, contract, [Asked(evaluate=evaluate, data=data)], reopen=lambda: {"main": fake()}
    )
    probed = {row.tobytes() for each in known.probes["main"] for row in each.inputs["history"]}
    marked = next(row for row in range(40) if inputs["history"][row].tobytes() not in probed)
    scores = fake().run({name: each[[marked]] for name, each in inputs.items()})["scores"]

    def spoil(outputs: dict[str, Array]) -> dict[str, Array]:
        given = outputs["scores"].astype(np.float32)
        mine = np.abs(given - scores).max(axis=1, keepdims=True) < 1e-5
        return {**outputs, "scores": np.where(mine, -given, given)}

    def opened(path: Path, runtime: str, *, function: str = "main") -> Any:
        return fake(precision=precision, spoil=spoil)

    def result(open_with: Any) -> Any:
        return examine_target(
            "onnx",
            "onnxruntime",
            {"main": Path("a")},
            reference=known,
            gates=Gates(),
            open_with=open_with,
            workers=engine,
        )

    found = result(opened)
    gate = {"float32": "same_numbers", "float16": "min_sqnr_db"}[precision]
    failed = {each.gate: each for each in check_gates(Gates(), [found]) if each.status == "failed"}
    assert f"evaluation row {marked} of 40" in failed[gate].message
    assert all(each.max_abs_error == 0 for each in found.parity)
    assert found.ranking is not None
    assert found.ranking.worst_row == marked
    good = result(lambda *_, **__: fake(precision=precision))
    assert not [each for each in check_gates(Gates(), [good]) if each.status == "failed"]
