"""Less work for the same numbers: what an exported graph loses, and what it must keep."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx.numpy_helper import from_array
from torch import Tensor, nn

from pocketrec.contract import Contract, Dim, Feature, Output, Signature
from pocketrec.convert.capture.capture import capture
from pocketrec.convert.onnx.lean import simplify
from pocketrec.convert.onnx.lower import to_onnx
from pocketrec.quantize import Plan, compress
from pocketrec.quantize.schemes.linear import Linear

USER, ITEM, COUNT, HIDDEN = 12, 6, 5, 7
RNG = np.random.default_rng(0)
Nodes = list[onnx.NodeProto]
make = onnx.helper.make_node


def graph_of(nodes: Nodes, shapes: dict[str, list[Any]], constants: dict[str, Any]) -> onnx.ModelProto:
    """A model from `user` and `item` to `out`; `shapes` is what the exporter knows of values."""

    def info(name: str) -> onnx.ValueInfoProto:
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shapes[name])

    graph = onnx.helper.make_graph(
        nodes,
        "ranking",
        [info("user"), info("item")],
        [info("out")],
        [from_array(np.asarray(value), name) for name, value in constants.items()],
        value_info=[info(name) for name in shapes if name not in ("user", "item", "out")],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)


def ranking(user: int = USER, middle: int = 1, **gemm: float) -> onnx.ModelProto:
    """concat(item, repeated user) @ weight + bias, an activation, and a second product."""
    wide = user + ITEM
    nodes = [
        make("Expand", ["user", "repeats"], ["repeated"]),
        make("Concat", ["item", "repeated"], ["both"], axis=-1),
        make("Reshape", ["both", "merge"], ["rows"]),
        make("Gemm", ["rows", "weight", "bias"], ["first"], **gemm),
        make("Reshape", ["first", "split"], ["first_split"]),
        make("Relu", ["first_split"], ["active"]),
        make("Reshape", ["active", "merge_hidden"], ["active_rows"]),
        make("Gemm", ["active_rows", "last"], ["out"]),
    ]
    shapes: dict[str, list[Any]] = {
        "user": ["batch", middle, user],
        "item": ["batch", COUNT, ITEM],
        "repeated": ["batch", COUNT, user],
        "both": ["batch", COUNT, wide],
        "rows": ["5*batch", wide],
        "first": ["5*batch", HIDDEN],
        "first_split": ["batch", COUNT, HIDDEN],
        "active": ["batch", COUNT, HIDDEN],
        "active_rows": ["5*batch", HIDDEN],
        "out": ["5*batch", 1],
    }
    constants = {
        "repeats": np.array([1, COUNT, 1]),
        "merge": np.array([-1, wide]),
        "split": np.array([-1, COUNT, HIDDEN]),
        "merge_hidden": np.array([-1, HIDDEN]),
        "weight": RNG.standard_normal((wide, HIDDEN)).astype(np.float32),
        "bias": RNG.standard_normal(HIDDEN).astype(np.float32),
        "last": RNG.standard_normal((HIDDEN, 1)).astype(np.float32),
    }
    return graph_of(nodes, shapes, constants)


def run(model: onnx.ModelProto) -> Any:
    sizes = [
        [each.dim_value or 2 for each in value.type.tensor_type.shape.dim] for value in model.graph.input
    ]
    rng = np.random.default_rng(1)
    feeds = {
        value.name: rng.standard_normal(size).astype(np.float32)
        for value, size in zip(model.graph.input, sizes, strict=True)
    }
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


def simplified(model: onnx.ModelProto) -> tuple[list[str], float]:
    """The ops that are left, and how far the answers have moved."""
    before = run(model)
    simplify(model)
    return [each.op_type for each in model.graph.node], float(np.abs(run(model) - before).max())


def test_what_is_repeated_is_multiplied_once() -> None:
    ops, gap = simplified(ranking())
    assert "Expand" not in ops
    assert ops.count("MatMul") == 2
    assert gap < 1e-5


def test_columns_that_are_taken_wrongly_show_in_the_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    split = np.split
    monkeypatch.setattr(np, "split", lambda *args: [each[::-1] for each in split(*args)])
    assert simplified(ranking())[1] > 0.1


@pytest.mark.parametrize(
    "model",
    [
        ranking(user=7),  # too few columns to be worth a sum
        ranking(middle=COUNT),  # nothing is repeated
        ranking(alpha=0.5),
    ],
    ids=["few columns", "not repeated", "scaled"],
)
def test_other_products_stay_whole(model: onnx.ModelProto) -> None:
    ops, gap = simplified(model)
    assert "MatMul" not in ops
    assert gap < 1e-6


@pytest.mark.parametrize(("rows", "expands"), [(2, 0), (4, 1)])
def test_an_operand_is_broadcast_by_the_op_where_the_other_has_the_whole_shape(
    rows: int, expands: int
) -> None:
    nodes = [make("Expand", ["user", "repeats"], ["repeated"]), make("Mul", ["item", "repeated"], ["out"])]
    whole = [rows, 3]
    shapes: dict[str, list[Any]] = {
        "user": [1, 3],
        "item": [2 if rows == 2 else 1, 3],
        "repeated": whole,
        "out": whole,
    }
    ops, gap = simplified(graph_of(nodes, shapes, {"repeats": np.array(whole)}))
    assert ops == ["Expand"] * expands + ["Mul"]
    assert gap == 0


KEPT = ["Reshape", "Relu", "Reshape"]


@pytest.mark.parametrize(
    ("back", "given", "ops"),
    [
        ("merge", False, ["Relu", "Softmax"]),
        ("other", False, [*KEPT, "Softmax"]),
        ("merge", True, KEPT),  # a value that is given out keeps its name
    ],
)
def test_an_activation_between_reshapes_loses_them_where_the_second_undoes_the_first(
    back: str, given: bool, ops: list[str]
) -> None:
    nodes = [
        make("Reshape", ["item", "split"], ["apart"]),
        make("Relu", ["apart"], ["active"]),
        make("Reshape", ["active", back], ["out" if given else "rows"]),
        *([] if given else [make("Softmax", ["rows"], ["out"])]),
    ]
    constants = {"split": np.array([2, 3, 4]), "merge": np.array([6, 4]), "other": np.array([3, 8])}
    rows = [6, 4] if back == "merge" else [3, 8]
    shapes: dict[str, list[Any]] = {
        "user": [1],
        "item": [6, 4],
        "apart": [2, 3, 4],
        "active": [2, 3, 4],
        "rows": rows,
        "out": rows,
    }
    assert simplified(graph_of(nodes, shapes, constants)) == (ops, 0)


def test_an_activation_that_others_read_keeps_its_reshapes() -> None:
    nodes = [
        make("Reshape", ["item", "split"], ["apart"]),
        make("Relu", ["apart"], ["active"]),
        make("Reshape", ["active", "merge"], ["rows"]),
        make("ReduceMax", ["active"], ["largest"], keepdims=0),
        make("Mul", ["rows", "largest"], ["out"]),
    ]
    constants = {"split": np.array([2, 3, 4]), "merge": np.array([6, 4])}
    shapes: dict[str, list[Any]] = {
        "user": [1],
        "item": [6, 4],
        "apart": [2, 3, 4],
        "active": [2, 3, 4],
        "rows": [6, 4],
        "out": [6, 4],
    }
    ops, gap = simplified(graph_of(nodes, shapes, constants))
    assert ops.count("Reshape") == 2
    assert gap == 0


@pytest.mark.parametrize("first", ["Mul", "Div"])
@pytest.mark.parametrize("second", ["Mul", "Div"])
def test_a_value_that_is_scaled_twice_and_read_by_two_products_can_be_loaded(first: str, second: str) -> None:
    """ONNX Runtime takes the inner scale away for both, and finds it missing: the premise is tested too."""
    nodes = [
        make("Abs", ["item"], ["sizes"]),
        make(first, ["sizes", "inner"], ["keys"]),
        make(second, ["keys", "outer"], ["queries"]),
        make("MatMul", ["queries", "user"], ["scores"]),
        make("MatMul", ["scores", "keys"], ["out"]),
    ]
    shape = ["batch", 4, 4]
    constants = {"inner": np.float32(0.7), "outer": np.float32(0.3)}
    model = graph_of(
        nodes, dict.fromkeys(("user", "item", "sizes", "keys", "queries", "out"), shape), constants
    )
    with pytest.raises(Exception, match="Node input 'keys' is not a graph input"):
        ort.InferenceSession(model.SerializeToString())
    plain = ort.SessionOptions()
    plain.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    inputs = {name: RNG.standard_normal((2, 4, 4)).astype(np.float32) for name in ("user", "item")}
    (expected,) = ort.InferenceSession(model.SerializeToString(), plain).run(None, inputs)
    simplify(model)
    (found,) = ort.InferenceSession(model.SerializeToString()).run(None, inputs)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_value_that_one_node_scales_twice_is_left_as_it_is() -> None:
    nodes = [
        make("Mul", ["item", "inner"], ["once"]),
        make("Mul", ["once", "outer"], ["twice"]),
        make("Add", ["twice", "user"], ["out"]),
    ]
    shapes: dict[str, list[Any]] = {
        name: ["batch", 4, 4] for name in ("user", "item", "once", "twice", "out")
    }
    model = graph_of(nodes, shapes, {"inner": np.float32(0.7), "outer": np.float32(0.3)})
    simplify(model)
    assert [list(each.input) for each in model.graph.node][:2] == [["item", "inner"], ["once", "outer"]]


class Ranking(nn.Module):
    """An MLP over candidates and a user."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(USER + 2 * ITEM, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        repeated = user.unsqueeze(1).expand(-1, COUNT, -1)
        x = torch.cat((item, repeated, item * repeated[:, :, :ITEM]), -1)
        out: Tensor = self.layers(x).squeeze(-1)
        return out


@pytest.mark.parametrize("compressed", [False, True])
def test_a_captured_ranking_answers_as_it_did(compressed: bool, tmp_path: Any) -> None:
    module: nn.Module = Ranking().eval().requires_grad_(False)
    codes: dict[str, Any] = {}
    if compressed:
        module, found_codes = compress(module, Plan(tensors={"layers.0.weight": Linear()}))
        codes = dict(found_codes)
    inputs = tuple(
        Feature(name=name, kind="dense", dtype="float32", shape=shape)
        for name, shape in {"user": ("batch", USER), "item": ("batch", COUNT, ITEM)}.items()
    )
    output = Output(name="scores", meaning="score", shape=("batch", COUNT))
    contract = Contract(
        functions={"main": Signature(inputs=inputs, outputs=(output,))}, dims={"batch": Dim(max=4)}
    )
    probes = [
        {"user": torch.randn(batch, USER), "item": torch.randn(batch, COUNT, ITEM)} for batch in (2, 3, 1)
    ]
    path = to_onnx(capture(module, contract, "main", probes), tmp_path / "x.onnx", tensors=codes)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for probe in probes:
        found = session.run(None, {name: each.numpy() for name, each in probe.items()})[0]
        assert np.abs(found - module(**probe).numpy()).max() < 1e-5
    ops = [each.op_type for each in onnx.load(path).graph.node]
    assert ops.count("MatMul") == 2
