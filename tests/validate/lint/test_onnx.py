"""Files that plain torch.onnx makes, and the forms that ONNX has and Core ML has not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from pocketrec.errors import ArtifactError
from pocketrec.validate.lint import lint_artifact

BAG = torch.arange(8).reshape(2, 4)


class Careless(nn.Module):
    """A bag, ids through float16, and ranked indices made narrow."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.bag, self.item = nn.EmbeddingBag(5_000, 4), nn.Embedding(70_000, 4)

    def forward(self, ids: Tensor, dense: Tensor) -> tuple[Tensor, Tensor]:
        user = self.bag(ids) + self.item(dense.half().long())
        return (user @ self.item.weight.T).topk(3).indices.to(torch.int16), user


def rules(path: Path) -> dict[str, str]:
    return {each.rule: f"{each.severity}: {each.message}" for each in lint_artifact(path)}


@pytest.fixture(scope="module")
def careless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "careless.onnx"
    torch.onnx.export(Careless().eval(), (BAG, torch.rand(2)), str(path), dynamo=True, verbose=False)
    return path


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("loop", "warning: a Loop that collects a sequence, as EmbeddingBag becomes"),
        ("ids-in-float", "error: ids of 70,000 rows pass through float16"),
        ("narrow-top-k-indices", "error: int16 indices over 70,000 items: item 69,999 becomes 4,463"),
        ("unnamed-output", "warning: the output is called"),
    ],
)
def test_a_hazard_of_a_default_export_is_named(careless: Path, rule: str, message: str) -> None:
    found = rules(careless)
    assert rule in found, found
    assert found[rule].startswith(message)


def save(path: Path, nodes: list[onnx.NodeProto], **initializers: np.ndarray) -> Path:
    """A file with the int64 input `ids` and the output `scores`, as any tool could write it."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(each, name) for name, each in initializers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, str(path))
    return path


TABLE = np.random.default_rng(0).normal(size=(700, 4)).astype(np.float32)


def test_a_clipped_lookup_and_a_product_have_no_findings(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Clip", ["ids", "low", "high"], ["within"]),
        helper.make_node("Gather", ["table", "within"], ["rows"]),
        helper.make_node("MatMul", ["rows", "square"], ["scores"]),
    ]
    ends = {"low": np.array(0), "high": np.array(699)}
    held: dict[str, np.ndarray] = {"table": TABLE, "square": np.eye(4, dtype=np.float32), **ends}
    assert rules(save(tmp_path / "m.onnx", nodes, **held)) == {}


@pytest.mark.parametrize(
    ("op", "answer"),
    [
        ("Gather", "gather reads the last rows for negative ids"),
        ("GatherBlockQuantized", "gather_block_quantized answers zeros for ids outside of its table"),
    ],
)
def test_a_lookup_that_answers_ids_outside_of_its_table_is_named(
    op: str, answer: str, tmp_path: Path
) -> None:
    reads = ["table", "ids"] if op == "Gather" else ["codes", "ids", "scales"]
    domain = "" if op == "Gather" else "com.microsoft"
    nodes = [helper.make_node(op, reads, ["scores"], domain=domain)]
    codes = {"codes": np.zeros((700, 16), np.uint8), "scales": np.ones((700, 1), np.float32)}
    found = rules(save(tmp_path / "m.onnx", nodes, **({"table": TABLE} if op == "Gather" else codes)))
    assert found["unguarded-ids"] == f"warning: input ids reaches 1 of the lookups unchecked, and {answer}"


def test_types_are_inferred_where_the_file_says_none(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["ids"], ["narrow"], to=TensorProto.INT8),
        helper.make_node("Cast", ["narrow"], ["wide"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "wide"], ["scores"]),
    ]
    found = rules(save(tmp_path / "m.onnx", nodes, table=TABLE))
    assert found["narrow-gather-indices"].startswith("error: int8 indices (narrow), which end at 127")


def test_an_answer_that_was_baked_in_is_named(tmp_path: Path) -> None:
    found = rules(
        save(tmp_path / "m.onnx", [helper.make_node("Identity", ["table"], ["scores"])], table=TABLE)
    )
    assert found["constant-output"].startswith("error: no input reaches this output")
    assert found["unused-input"] == "warning: no op reads this input"


def test_an_output_that_a_branch_takes_from_outside_is_not_constant(tmp_path: Path) -> None:
    branch = helper.make_graph(
        [helper.make_node("Gather", ["table", "ids"], ["inner"])],
        "b",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)],
    )
    node = helper.make_node("If", ["yes"], ["scores"], then_branch=branch, else_branch=branch)
    found = rules(save(tmp_path / "m.onnx", [node], table=TABLE, yes=np.array(True)))
    assert "constant-output" not in found
    assert "unused-input" not in found


def test_tables_in_an_external_file_are_compared_too(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("MatMul", ["rows", "again"], ["scores"]),
    ]
    path = save(tmp_path / "m.onnx", nodes, table=TABLE, again=TABLE.T.copy())
    model = onnx.load(str(path))
    onnx.save(model, str(path), save_as_external_data=True, location="weights", size_threshold=0)
    assert rules(path)["duplicate-table"] == (
        "warning: holds the numbers of table, transposed: 11,200 bytes again"
    )
    model = onnx.load(str(path), load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        entry.value = "../weights" if entry.key == "location" else entry.value
    onnx.save(model, str(path))
    with pytest.raises(ArtifactError, match="outside of"):
        lint_artifact(path)


def test_types_that_contradict_each_other_are_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with pytest.raises(ArtifactError, match="not an ONNX file"):
        lint_artifact(tmp_path / "m.onnx")


def test_a_quantizer_that_changed_nothing_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [helper.make_node("Gather", ["table", "ids"], ["scores"])], table=TABLE)
    model = onnx.load(str(path))
    model.producer_name = "onnx.quantize"
    onnx.save(model, str(path))
    assert rules(path)["uncompressed-table"].endswith("11,200 bytes; no tensor is compressed")
