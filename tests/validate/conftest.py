"""A recommender without any framework: a contract, data, and a NumPy runtime; and small Core ML packages."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name everywhere in MIL
from coremltools.converters.mil.mil import types
from coremltools.proto import Model_pb2

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.convert.coreml.patches import without_ado
from pocketrec.evaluation import RankingData
from pocketrec.recipe import Evaluate
from pocketrec.validate.runtimes.runtime import Array, Description, TensorSpec, check_inputs

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


IOS18 = ct.target.iOS18
PROGRAM_TABLE = np.random.default_rng(3).normal(size=(12, 4)).astype(np.float32)
MODEL, WEIGHTS = "Data/com.apple.CoreML/model.mlmodel", "Data/com.apple.CoreML/weights/weight.bin"


def convert(program: Any, *, precision: str = "FLOAT32", **options: Any) -> Any:
    with without_ado():
        return ct.convert(
            program,
            convert_to="mlprogram",
            minimum_deployment_target=IOS18,
            compute_precision=getattr(ct.precision, precision),
            **options,
        )


def score_program() -> Any:
    def program(ids: Any) -> Any:
        rows = mb.gather(x=PROGRAM_TABLE, indices=ids, axis=0, name="rows")
        return mb.matmul(x=rows, y=PROGRAM_TABLE, transpose_y=True, name="scores")

    return mb.program(input_specs=[mb.TensorSpec((3,), dtype=types.int32)], opset_version=IOS18)(program)


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `float32.mlpackage` and `float16.mlpackage`: rows of the table times the table."""
    folder = tmp_path_factory.mktemp("packages")
    for precision in ("FLOAT32", "FLOAT16"):
        model = convert(score_program(), precision=precision)
        model.save(str(folder / f"{precision.lower()}.mlpackage"))
    return folder


@pytest.fixture
def damaged(packages: Path, tmp_path: Path) -> Callable[[Callable[[Path], object]], Path]:
    """A copy of the float32 package, after what the given function did to it."""

    def make(change: Callable[[Path], object]) -> Path:
        copy = tmp_path / "damaged.mlpackage"
        shutil.copytree(packages / "float32.mlpackage", copy)
        change(copy)
        return copy

    return make


def edit_program(package: Path, change: Callable[[Any], object]) -> None:
    """Apply `change` to the operations of the function `main`, and save."""
    path, spec = package / MODEL, Model_pb2.Model()
    spec.ParseFromString(path.read_bytes())
    function = spec.mlProgram.functions["main"]
    change(function.block_specializations[function.opset])
    path.write_bytes(spec.SerializeToString())
