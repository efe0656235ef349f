"""Quality follows from the rows alone: not from how they are cut, nor from who examines them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.errors import DataError
from pocketrec.evaluation import ClassificationData, RankingData
from pocketrec.kept import Parts
from pocketrec.recipe import Evaluate
from pocketrec.recipe.measures import Slice
from pocketrec.validate.measure import quality
from pocketrec.validate.measure.compare import compare_quality
from pocketrec.validate.measure.quality import Evaluation, _whole, from_lists, quality_of
from pocketrec.workers import Workers


@pytest.mark.parametrize("output", ["scores", "best_ids"])
def test_the_cut_changes_nothing(
    output: str,
    fake: Any,
    contract: Contract,
    data: RankingData,
    evaluate: Evaluate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evaluate = replace(evaluate, output=output)
    whole = quality_of(evaluate, contract, {"main": fake()}, data)
    monkeypatch.setattr(quality, "_MOST_ROWS", 3)
    monkeypatch.setattr(quality, "_MOST_TASKS", 4)
    runtime = fake()
    cut = quality_of(evaluate, contract, {"main": runtime}, data)
    assert cut.metrics == whole.metrics
    np.testing.assert_array_equal(cut.top_k, whole.top_k)
    assert {len(each["history"]) for each in runtime.calls} == {3, 2}
    job = Evaluation(evaluate=evaluate, contract=contract, data=data, open=None)
    assert job.spans() == [(0, 6), (6, 12), (12, 18), (18, 20)]


def test_parts_are_smaller_for_a_larger_catalogue(
    contract: Contract, data: RankingData, evaluate: Evaluate
) -> None:
    large = {"item": VocabularySpec(size=10_000_000, padding_id=0)}
    job = Evaluation(evaluate=evaluate, contract=replace(contract, vocabularies=large), data=data, open=None)
    assert job.size == 3
    labels = replace(evaluate, kind="classification")
    assert Evaluation(evaluate=labels, contract=job.contract, data=data, open=None).size == 1024


def test_two_workers_reopen_the_runtimes_and_find_the_same(
    fake: Any, contract: Contract, data: RankingData, evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "_MOST_ROWS", 3)
    alone = quality_of(evaluate, contract, {"main": fake()}, data)
    opened: list[Mapping[str, Any]] = []

    def reopen() -> Mapping[str, Any]:
        opened.append({"main": fake()})
        return opened[-1]

    workers = Workers(count=2, engine="threading")
    both = quality_of(evaluate, contract, {}, data, workers=workers, reopen=reopen)
    assert both.metrics == alone.metrics
    np.testing.assert_array_equal(both.top_k, alone.top_k)


def test_parts_are_reused_by_the_same_model_on_the_same_data_alone(
    fake: Any,
    contract: Contract,
    data: RankingData,
    evaluate: Evaluate,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(quality, "_MOST_ROWS", 8)
    steps: list[tuple[int, int]] = []

    def run(**changed: Any) -> tuple[int, int]:
        parts = Parts(tmp_path)
        known: dict[str, Any] = {"evaluate": evaluate, "contract": contract, "data": data, "identity": "a"}
        known |= {"keep": True, **changed}
        identity = known["identity"]
        found = quality_of(
            known["evaluate"],
            known["contract"],
            {"main": fake()},
            known["data"],
            workers=Workers(parts=parts),
            keep=known["keep"],
            identity=lambda: str(identity) if identity else None,
            tell=lambda done, total: steps.append((done, total)),
        )
        assert found.examples == len(known["data"])
        return parts.computed, parts.reused

    assert run() == (3, 0)
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert run() == (0, 3)
    by_column = replace(evaluate, slices={"users": Slice(by="history")}, metrics=("mrr",))
    assert run(evaluate=by_column) == (0, 3), "what is made of the rows does not decide them"
    other = np.roll(data.positives, 1)
    for changed in (
        {"identity": "b"},
        {"data": replace(data, positives=other)},
        {"data": replace(data, ignored_ids=(0, 1))},
        {"data": replace(data, columns={"age": np.arange(20)})},
        {"contract": replace(contract, dims={**contract.dims, "batch": Dim(max=7)})},
        {"evaluate": replace(evaluate, output="best_ids", k=3)},
        {"evaluate": replace(evaluate, k=5)},
        {"keep": False},
    ):
        assert run(**changed) == (3, 0), changed
    assert run(identity=None) == (0, 0)
    monkeypatch.setattr(quality, "_MOST_ROWS", 20)
    assert run() == (0, 0), "what is one part is examined again"


def test_parts_that_were_read_give_what_was_written(
    fake: Any,
    contract: Contract,
    data: RankingData,
    evaluate: Evaluate,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(quality, "_MOST_ROWS", 8)
    workers = Workers(parts=Parts(tmp_path))
    first, again = (
        quality_of(
            evaluate, contract, {"main": fake()}, data, workers=workers, keep=True, identity=lambda: "a"
        )
        for _ in range(2)
    )
    assert workers.parts is not None
    assert workers.parts.reused == 3
    assert first.metrics == again.metrics
    np.testing.assert_array_equal(first.top_k, again.top_k)
    np.testing.assert_array_equal(first.places, again.places)
    for one, two in zip(first.kept["main"].values.values(), again.kept["main"].values.values(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_texts_of_other_lengths_are_put_together_whole() -> None:
    parts = [{"users": np.array(["a"])}, {"users": np.array(["longer", "b"])}]
    assert _whole(parts, 3)["users"].tolist() == ["a", "longer", "b"]


def test_labels_keep_their_scores_in_the_order_of_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "_MOST_ROWS", 3)
    feature = Feature(name="p", kind="dense", dtype="float32", shape=("batch",))
    out = Output(name="q", meaning="probability", shape=("batch",))
    contract = Contract(
        functions={"main": Signature(inputs=(feature,), outputs=(out,))}, dims={"batch": Dim(max=2)}
    )
    scores = np.linspace(0, 1, 8, dtype=np.float32)
    data = ClassificationData(inputs={"p": scores}, labels=(scores > 0.5).astype(np.float32))
    evaluate = Evaluate(data="x:y", kind="classification", output="q")
    runtimes: Any = {"main": Echo("p", "q")}
    found = quality_of(evaluate, contract, runtimes, data)
    np.testing.assert_array_equal(found.scores, scores)
    assert found.metrics["auc"] == 1


def test_seen_and_ignored_items_leave_the_list(fake: Any, contract: Contract, evaluate: Evaluate) -> None:
    inputs = {"history": np.full((1, 6), 3, np.int32), "age": np.zeros((1, 1), np.float32)}
    scores = fake().run(inputs)["scores"][0]
    best = np.argsort(-scores)
    data = RankingData(
        inputs=inputs,
        positives=best[2:3].astype(np.int64),
        seen_ids=best[:2].astype(np.int64),
        seen_offsets=np.array([0, 2]),
        catalogue={},
        ignored_ids=(0,),
    )
    found = quality_of(evaluate, contract, {"main": fake()}, data)
    assert found.metrics["ndcg@10"] == 1
    assert found.top_k is not None
    assert not {0, *best[:2]} & set(found.top_k[0].tolist())


@pytest.mark.parametrize("output", ["scores", "best_ids"])
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"positives": np.full(20, 10**9)}, "held-out item 1000000000 is not among the .* items"),
        ({"seen_ids": np.array([-1]), "seen_offsets": np.array([0] + [1] * 20)}, "seen item -1 is not among"),
        ({"seen_ids": np.array([10**9]), "seen_offsets": np.array([0] + [1] * 20)}, "seen item 1000000000"),
    ],
)
def test_an_id_that_is_no_item_is_an_error(
    fake: Any, contract: Contract, data: RankingData, output: str, changed: Any, message: str
) -> None:
    evaluate = Evaluate(data="x:y", kind="ranking", output=output, k=3)
    with pytest.raises(DataError, match=message):
        quality_of(evaluate, contract, {"main": fake()}, replace(data, **changed))


def test_a_worse_artifact_is_seen_in_metrics_and_overlap(
    fake: Any, contract: Contract, data: RankingData, evaluate: Evaluate
) -> None:
    def spoil(outputs: dict[str, Any]) -> dict[str, Any]:
        return outputs | {"scores": -outputs["scores"]}

    reference = quality_of(evaluate, contract, {"main": fake()}, data)
    same = compare_quality(reference, quality_of(evaluate, contract, {"main": fake()}, data))
    assert same.top_k_overlap == 1
    assert same.examples == 20
    worse = compare_quality(reference, quality_of(evaluate, contract, {"main": fake(spoil=spoil)}, data))
    assert worse.top_k_overlap is not None
    assert worse.top_k_overlap < 0.3


def test_top_k_ids_rank_as_listed(fake: Any, contract: Contract, data: RankingData) -> None:
    evaluate = Evaluate(data="x:y", kind="ranking", output="best_ids", k=3)
    data = replace(data, ignored_ids=())
    found = quality_of(evaluate, contract, {"main": fake()}, data)
    np.testing.assert_array_equal(found.top_k, fake().run(data.inputs)["best_ids"])


def test_a_list_is_ranked_like_scores_that_fall_along_it() -> None:
    lists = np.array([[4, 2, 1, 3], [9, 0, 2, -1], [1, 3, 4, 2]])
    data = RankingData(
        inputs={},
        positives=np.array([1, 2, 0]),
        seen_ids=np.array([4, 1, 2]),
        seen_offsets=np.array([0, 2, 3, 3]),
        catalogue={},
    )
    rows = from_lists(lists, data, 5, 3)
    assert rows["top_k"].tolist() == [[2, 1, 3], [2, -1, -1], [1, 3, 4]]
    assert rows["places"].tolist() == [1, 0, math.inf]


class Echo:
    """Gives its only input back under another name."""

    def __init__(self, source: str, target: str) -> None:
        self.source, self.target = source, target

    def describe(self) -> Any:
        class Nothing:
            inputs, rows = (), None

        return Nothing()

    def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {self.target: inputs[self.source]}


def test_embeddings_meet_the_catalogue_and_a_missing_catalogue_is_an_error() -> None:
    def side(name: str) -> Signature:
        feature = Feature(name=name, kind="dense", dtype="float32", shape=("batch", 2))
        return Signature(
            inputs=(feature,), outputs=(Output(name=f"{name}_out", meaning="embedding", shape=("batch", 2)),)
        )

    contract = Contract(
        functions={"user": side("u"), "item": side("i")},
        dims={"batch": Dim(max=4)},
        vocabularies={"item": VocabularySpec(size=5)},
    )
    users, items = np.eye(2, dtype=np.float32), np.arange(10, dtype=np.float32).reshape(5, 2)
    evaluate = Evaluate(
        data="x:y",
        kind="ranking",
        function="user",
        output="u_out",
        catalogue_function="item",
        catalogue_output="i_out",
    )
    fields: dict[str, Any] = {
        "inputs": {"u": users},
        "positives": np.array([1, 2]),
        "seen_ids": np.zeros(0, np.int64),
        "seen_offsets": np.zeros(3, np.int64),
    }
    runtimes: Any = {"user": Echo("u", "u_out"), "item": Echo("i", "i_out")}
    found = quality_of(evaluate, contract, runtimes, RankingData(catalogue={"i": items}, **fields))
    assert found.top_k is not None
    assert found.top_k[:, :5].tolist() == [[4, 3, 2, 1, -1]] * 2
    assert found.metrics["ndcg@10"] == pytest.approx((1 / math.log2(5) + 1 / math.log2(4)) / 2)
    with pytest.raises(DataError, match="no catalogue"):
        quality_of(evaluate, contract, runtimes, RankingData(catalogue={}, **fields))
