"""What contract.json states of an artifact's shapes is what the artifact takes, and a range is a range."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import pocketrec
from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.pipeline.shapes import shape_problem, shapes_of, surplus_shapes
from pocketrec.recipe import Target
from pocketrec.schema import from_table
from pocketrec.validate.runtimes.runtime import TensorSpec

CONTRACT = Contract(
    functions={
        "main": Signature(
            inputs=(
                Feature(name="x", kind="dense", dtype="float32", shape=("batch", "length")),
                Feature(name="weight", kind="dense", dtype="float32", shape=()),
            ),
            outputs=(
                Output(name="y", meaning="embedding", shape=("batch", "length")),
                Output(name="total", meaning="score", shape=("batch", 3)),
            ),
        )
    },
    dims={"batch": Dim(max=4), "length": Dim(min=2, max=7)},
)
SIGNATURE = CONTRACT.functions["main"]


def spec(name: str, *shape: int | None, bounds: tuple[tuple[int, int | None], ...] = ()) -> TensorSpec:
    return TensorSpec(name=name, dtype="float32", shape=shape, bounds=bounds)


def test_a_size_is_the_artifacts_and_a_range_is_the_contracts_dim() -> None:
    given = shapes_of(
        CONTRACT, SIGNATURE, [spec("x", 1, None), spec("weight", 1)], [spec("y", None, None), spec("total")]
    )
    assert given == {
        "x": (1, "length"),
        "weight": (1,),  # an axis that the contract has not
        "y": (1, "length"),  # fixed by the input
        "total": (1, 3),  # of which the artifact says nothing
    }


def test_what_the_artifact_lacks_is_left_out() -> None:
    assert shapes_of(CONTRACT, SIGNATURE, [spec("x", None, 7)], []) == {"x": ("batch", 7)}


def test_a_range_with_other_ends_than_the_contracts_is_a_problem() -> None:
    stated = Contract(
        functions=CONTRACT.functions,
        dims=CONTRACT.dims,
        targets={"coreml": {"main": {"x": ("batch", 7)}}},
    )
    for high, problem in ((4, ""), (3, "x takes 1 to 3 along batch; contract.json states 1 to 4")):
        inputs = [spec("x", None, 7, bounds=((1, high), (7, 7)))]
        assert shape_problem(stated, "coreml", "main", inputs, []) == problem
    endless = [spec("x", None, 7, bounds=((1, None), (7, 7)))]
    assert shape_problem(stated, "coreml", "main", endless, []) == ""


def test_shapes_of_what_has_no_artifact_are_a_problem() -> None:
    stated = replace(CONTRACT, targets={"coreml": {"main": {}, "other": {}}, "phone": {"main": {}}})
    assert surplus_shapes(stated, {"coreml": ["main", "other"], "phone": ["main"], "web": ["main"]}) == ()
    assert surplus_shapes(CONTRACT, {}) == ()
    found = surplus_shapes(stated, {"coreml": ["main"]})
    assert [each.partition(",")[0] for each in found] == [
        "contract.json: states shapes of coreml/other",
        "contract.json: states shapes of phone/main",
    ]


def test_the_shapes_are_no_part_of_the_contract() -> None:
    beside = {**CONTRACT.to_dict(), "targets": {"coreml": {"main": {"x": [1, 7]}}}}
    read = from_table(Contract, beside, source="contract.json")
    assert read == CONTRACT
    assert read.sha256() == CONTRACT.sha256()
    assert read.to_dict() == CONTRACT.to_dict()
    assert read.targets == {"coreml": {"main": {"x": (1, 7)}}}


class Lookup(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.item = nn.Embedding(9, 3, padding_idx=0)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        rows: torch.Tensor = self.item(ids)
        return rows.sum(1)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("converted")
    ids = Feature(
        name="ids", kind="id_sequence", shape=("batch", "length"), vocabulary="item", padding_side="left"
    )
    contract = Contract(
        functions={
            "main": Signature(
                inputs=(ids,), outputs=(Output(name="y", meaning="embedding", shape=("batch", 3)),)
            )
        },
        dims={"batch": Dim(max=16), "length": Dim(max=7)},
        vocabularies={"item": VocabularySpec(size=9, padding_id=0)},
    )
    targets = {
        "onnx": Target(),
        "coreml": Target(precision="float32"),
        "free": Target(format="coreml", precision="float32", flexible=("batch",)),
    }
    example = {"ids": torch.randint(1, 9, (3, 5), dtype=torch.int32)}
    made = pocketrec.convert_module(Lookup().eval(), example, out, targets, contract)
    assert made.refused == {}
    return out


def test_what_is_written_beside_artifacts_is_what_they_take(converted: Path) -> None:
    stated = json.loads((converted / "contract.json").read_text())["targets"]
    assert stated == {
        "onnx": {"main": {"ids": ["batch", "length"], "y": ["batch", 3]}},
        "coreml": {"main": {"ids": [1, 7], "y": [1, 3]}},
        "free": {"main": {"ids": ["batch", 7], "y": ["batch", 3]}},
    }


def test_it_agrees_with_the_runtimes(converted: Path) -> None:
    contract = from_table(
        Contract, json.loads((converted / "contract.json").read_text()), source="contract.json"
    )
    places = {"onnx": "model.onnx", "coreml": "model.mlpackage", "free": "free/model.mlpackage"}
    for target, place in places.items():
        with pocketrec.open(converted / place) as artifact:
            described = artifact.describe()
        for other in places:
            problem = shape_problem(contract, other, "main", described.inputs, described.outputs)
            assert bool(problem) == (other != target), (target, other, problem)
