"""A recommender without any framework: a contract, data, and a runtime written in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.evaluation import RankingData
from pocketrec.recipe import Evaluate
from pocketrec.validate.runtime import Array, Description, TensorSpec, check_inputs

ITEMS, LENGTH = 40, 6
TABLE = np.random.default_rng(5).normal(size=(ITEMS, 4)).astype(np.float32)
TABLE[0] = 0


def make_contract() -> Contract:
    history = Feature(
        name="history",
        kind="id_sequence",
        shape=("batch", "length"),
        vocabulary="item",
        padding_side="left",
        out_of_vocabulary="padding",
    )
    age = Feature(name="age", kind="dense", dtype="float32", shape=("batch", 1), minimum=-2, maximum=3)
    outputs = (
        Output(name="scores", meaning="score", shape=("batch", ITEMS), vocabulary="item"),
        Output(name="best_ids", meaning="top_k_ids", dtype="int32", shape=("batch", 3), vocabulary="item"),
    )
    return Contract(
        functions={"main": Signature(inputs=(history, age), outputs=outputs)},
        dims={"batch": Dim(max=8), "length": Dim(max=LENGTH)},
        vocabularies={"item": VocabularySpec(size=ITEMS, padding_id=0)},
    )


def forward(inputs: Mapping[str, Array]) -> dict[str, Array]:
    history = np.asarray(inputs["history"], np.int64)
    history = np.where((history < 0) | (history >= ITEMS), 0, history)
    scores = (TABLE[history].sum(1) + np.asarray(inputs["age"], np.float32)) @ TABLE.T
    return {
        "scores": scores.astype(np.float32),
        "best_ids": np.argsort(-scores, axis=1, kind="stable")[:, :3].astype(np.int32),
    }


class FakeRuntime:
    """`forward`, changed by `spoil`, on an artifact that takes `batch` rows and `length` ids."""

    def __init__(
        self,
        *,
        batch: int | None = None,
        length: int | None = None,
        precision: str = "float32",
        name: str = "onnxruntime",
        spoil: Callable[[dict[str, Array]], dict[str, Array]] = lambda outputs: outputs,
    ) -> None:
        self._precision, self._name, self._spoil = precision, name, spoil
        self.calls: list[Mapping[str, Array]] = []
        self._specs = tuple(
            TensorSpec(name=feature, dtype=dtype, shape=shape)
            for feature, dtype, shape in (
                ("history", "int32", (batch, length)),
                ("age", "float32", (batch, 1)),
            )
        )

    def describe(self) -> Description:
        return Description(
            runtime=self._name,
            version="1",
            precision=self._precision,
            compute_units="cpu",
            inputs=self._specs,
            outputs=(),
        )

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        check_inputs(self._specs, inputs, where="fake")
        self.calls.append(inputs)
        return self._spoil(forward(inputs))

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None: ...


@pytest.fixture
def contract() -> Contract:
    return make_contract()


@pytest.fixture
def fake() -> type[FakeRuntime]:
    return FakeRuntime


@pytest.fixture
def data() -> RankingData:
    rng = np.random.default_rng(0)
    return RankingData(
        inputs={
            "history": rng.integers(1, ITEMS, (20, LENGTH)).astype(np.int32),
            "age": rng.normal(size=(20, 1)).astype(np.float32),
        },
        positives=rng.integers(1, ITEMS, 20),
        seen_ids=np.zeros(0, np.int64),
        seen_offsets=np.zeros(21, np.int64),
        catalogue={},
    )


@pytest.fixture
def evaluate() -> Evaluate:
    return Evaluate(data="x:y", kind="ranking", output="scores")


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    """A table of 4 rows, gathered and doubled: `ids` of any length to `rows`."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    table = numpy_helper.from_array(np.arange(8, dtype=np.float32).reshape(4, 2), "table")
    two = numpy_helper.from_array(np.array([2.0], np.float32), "two")
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "ids"], ["g"]),
            helper.make_node("Mul", ["g", "two"], ["rows"]),
        ],
        "main",
        [helper.make_tensor_value_info("ids", TensorProto.INT32, ["n"])],
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", 2])],
        [table, two],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, {"key": "value"})
    path = tmp_path / "table.onnx"
    onnx.save(model, str(path))
    return path
