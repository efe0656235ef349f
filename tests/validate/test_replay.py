"""Golden vectors pass on the runtime that made them, and fail on any other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.errors import ExecutionError, UsageError
from pocketrec.evaluation import RankingData
from pocketrec.recipe import Gates
from pocketrec.validate.measure.metrics.top_k_overlap import top_k_overlap
from pocketrec.validate.measure.parity import check_parity
from pocketrec.validate.measure.tolerances import differs_by
from pocketrec.validate.replay import GoldenVector, ReplayResult, kept_best, replay
from pocketrec.validate.runtimes.faults import FrameworkFault


@pytest.fixture
def golden(fake: Any, data: RankingData) -> GoldenVector:
    inputs = {name: array[:2] for name, array in data.inputs.items()}
    return GoldenVector(function="main", name="two rows", inputs=inputs, outputs=fake().run(inputs))


def run(golden: list[GoldenVector], runtime: Any, contract: Contract, **kw: Any) -> dict[str, ReplayResult]:
    tolerances = kw.pop("tolerances", {"scores": 1e-4})
    gates = kw.pop("gates", Gates())
    found = replay(golden, runtime, contract, function="main", tolerances=tolerances, gates=gates)
    first = {each.output: each for each in reversed(found)}
    return first | {each.output: each for each in reversed(found) if not each.passed}


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
    near = 4 + np.arange(40, dtype=np.float32)[None] * 1e-4  # all within a step of float16
    assert kept_best(near, near[:, ::-1]) == [1.0]
    assert kept_best(near, near[:, ::-1], step=1e-6) == [0.0]
    assert kept_best(scores[:, :19], scores[:, :19]) == []


SIZES = (0.0, 0.003, 0.02, 0.5, 1.0, 2.0, 4.0)


class Noisy:
    """What a fake runtime is spoiled by: noise of a size, then float16; what it gave is kept."""

    def __init__(self, size: float) -> None:
        self.size, self.rng = size, np.random.default_rng(2)
        self.given: list[dict[str, Any]] = []

    def __call__(self, outputs: dict[str, Any]) -> dict[str, Any]:
        scores = outputs["scores"]
        moved = (scores + self.rng.normal(0, self.size, scores.shape)).astype(np.float16).astype(np.float32)
        ids = np.argsort(-moved, axis=1, kind="stable")[:, :3].astype(np.int32)
        given = {"scores": moved, "best_ids": ids}
        self.given.append(given)
        return given

    def all_rows(self) -> dict[str, Any]:
        return {name: np.concatenate([each[name] for each in self.given]) for name in self.given[0]}


def refused_by_a_build(expected: dict[str, Any], given: dict[str, Any], contract: Contract) -> bool:
    """What the gates on numbers and on order, with which a build closes, say of the same rows."""
    parity = check_parity(
        [expected], [given], ["rows"], contract.functions["main"], function="main", tie_tolerance=2**-7
    )
    best = [np.argsort(-each["scores"], axis=1, kind="stable")[:, :10] for each in (expected, given)]
    numbers = any(differs_by(each, Gates(), "float16") for each in parity)
    return numbers or bool(top_k_overlap(*best).mean() < (Gates().min_top_k_overlap or 0))


def test_noise_that_a_builds_gates_refuse_is_refused_and_float16_is_not(
    fake: Any, contract: Contract, data: RankingData
) -> None:
    """golden.json allows each number to be far off, as it may of float16; signal and order decide."""
    vector = GoldenVector(function="main", name="rows", inputs=data.inputs, outputs=fake().run(data.inputs))
    refused = []
    for size in SIZES:
        noisy = Noisy(size)
        found = replay(
            [vector],
            fake(spoil=noisy, precision="float16", batch=4),
            contract,
            function="main",
            tolerances={"scores": 9.0},
            gates=Gates(),
        )
        refused.append(not all(each.passed for each in found))
        build = refused_by_a_build(dict(vector.outputs), noisy.all_rows(), contract)
        assert refused[-1] == build, (size, [each.message for each in found])
    assert refused == [False] * 3 + [True] * 4


def test_order_alone_is_held_to_the_gate_on_it(fake: Any, contract: Contract, data: RankingData) -> None:
    """Noise of 41 dB passes the gate on numbers; what it does to the order is the other gate's matter."""
    vector = GoldenVector(function="main", name="rows", inputs=data.inputs, outputs=fake().run(data.inputs))
    rms = float(np.sqrt(np.mean(np.square(vector.outputs["scores"]))))
    lax, strict = (
        run(
            [vector],
            fake(spoil=Noisy(rms * 10 ** (-41 / 20)), precision="float16", batch=4),
            contract,
            gates=Gates(min_top_k_overlap=least),
            tolerances={"scores": 9.0},
        )["scores"]
        for least in (0.5, 0.999)
    )
    assert lax.passed, lax.message
    assert "of the best stay, at least 0.999 have to" in strict.message


def test_lists_of_ids_lose_what_is_no_tie(fake: Any, data: RankingData) -> None:
    ids = np.arange(12, dtype=np.int32)[None]
    values = np.linspace(2, 1, 12, dtype=np.float32)[None]
    lists = Signature(
        inputs=(Feature(name="age", kind="dense", dtype="float32", shape=("batch", 1)),),
        outputs=(
            Output(name="ids", meaning="top_k_ids", dtype="int32", shape=("batch", 12), vocabulary="item"),
            Output(name="values", meaning="top_k_scores", shape=("batch", 12)),
        ),
    )
    contract = Contract(
        functions={"main": lists},
        dims={"batch": Dim(max=8)},
        vocabularies={"item": VocabularySpec(size=40)},
    )
    given = {"age": np.zeros((1, 1), np.float32)}
    vector = GoldenVector(function="main", name="list", inputs=given, outputs={"ids": ids, "values": values})

    class Listing:
        def __init__(self, listed: Any) -> None:
            self.listed = listed

        def describe(self) -> Any:
            return replace(fake(precision="float16").describe(), inputs=())

        def run(self, inputs: Any) -> Any:
            return {"ids": self.listed, "values": values}

    other = np.where(ids < 11, ids, 30)
    assert "ids" not in {each for each, got in run([vector], Listing(ids), contract,
        tolerances={"values": 1.0}).items() if not got.passed}  # fmt: skip
    lost = run([vector], Listing(other[:, ::-1]), contract, tolerances={"values": 1.0})
    assert not lost["ids"].passed


def test_zeros_where_the_reference_has_none_are_called_so(
    fake: Any, contract: Contract, golden: GoldenVector
) -> None:
    def zeros(outputs: dict[str, Any]) -> dict[str, Any]:
        return {**outputs, "scores": np.zeros_like(outputs["scores"])}

    first = replay(
        [golden], fake(spoil=zeros), contract, function="main", tolerances={"scores": 9.0}, gates=Gates()
    )[0]
    assert (first.zeros, first.passed, first.message) == (True, False, "main.scores: all zeros")
    still = replace(golden, outputs={**golden.outputs, "scores": np.zeros_like(golden.outputs["scores"])})
    assert not any(
        each.zeros
        for each in replay(
            [still], fake(spoil=zeros), contract, function="main", tolerances={}, gates=Gates()
        )
    )


def test_a_framework_that_does_not_answer_is_no_wrong_answer(
    fake: Any, contract: Contract, golden: GoldenVector
) -> None:
    def hang(outputs: dict[str, Any]) -> dict[str, Any]:
        raise FrameworkFault("no answer", fault="hung")

    with pytest.raises(FrameworkFault, match="no answer"):
        run([golden], fake(spoil=hang), contract)
