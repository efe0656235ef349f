"""What nothing reads is taken out of an ONNX graph, and what it computes stays as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnx.numpy_helper import from_array
from onnx.reference import ReferenceEvaluator

from pocketrec.convert.capture.capture import Capture
from pocketrec.convert.onnx.bare import drop_defaults, share_constants, share_turned, strip
from pocketrec.convert.onnx.lower import to_onnx

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
X = np.arange(12, dtype=np.float32).reshape(2, 6)
TABLE = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)


def noted() -> onnx.ModelProto:
    """Of x [2, 6] and whether it is turned: its softmax in threes, then a branch that reads constants."""

    def branch(name: str, op: str, constant: str) -> onnx.GraphProto:
        node = helper.make_node(op, ["soft", constant], [f"{name}_y"], doc_string="inside")
        given = [helper.make_tensor_value_info(f"{name}_y", FLOAT, None)]
        graph = helper.make_graph([node], name, [], given)
        graph.metadata_props.add(key="pkg.torch.signature", value="inside")
        return graph

    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["threes"], allowzero=1),
        helper.make_node("Softmax", ["threes"], ["soft"], axis=-1),
        helper.make_node(
            "If",
            ["turned"],
            ["y"],
            then_branch=branch("a", "Mul", "two"),
            else_branch=branch("b", "Add", "zwei"),
        ),
    ]
    inputs = [
        helper.make_tensor_value_info("x", FLOAT, [2, 6]),
        helper.make_tensor_value_info("turned", TensorProto.BOOL, []),
    ]
    stored = {"shape": np.array([-1, 3]), "two": np.float32(2), "zwei": np.float32(2)}
    graph = helper.make_graph(
        nodes,
        "main",
        inputs,
        [helper.make_tensor_value_info("y", FLOAT, ["n", 3])],
        [from_array(np.asarray(value), name) for name, value in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    for each in (model, graph, *model.graph.node, *model.graph.input, *model.graph.initializer):
        each.doc_string = "as the exporter has it"
        each.metadata_props.add(key="pkg.torch.signature", value="x" * 100)
    model.graph.metadata_props.add(key="pkg.torch.signature", value="x" * 100)
    model.graph.node[0].domain = ""
    return model


def answers(model: onnx.ModelProto) -> list[NDArray[np.float32]]:
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return [np.asarray(session.run(None, {"x": X, "turned": np.array(each)})[0]) for each in (True, False)]


def same(model: onnx.ModelProto) -> bool:
    return all(map(np.array_equal, answers(model), answers(noted())))


def test_notes_and_empty_words_are_taken_off_inner_graphs_too() -> None:
    model = noted()
    strip(model)
    text = model.SerializeToString()
    assert same(model)
    assert all(word not in text for word in (b"pkg.torch", b"exporter", b"inside"))
    assert not any(node.HasField("domain") or node.HasField("doc_string") for node in model.graph.node)


def test_attributes_at_their_defaults_are_taken_out_and_others_stay() -> None:
    model = noted()
    model.graph.node.add(op_type="Softmax", input=["x"], output=["first"]).attribute.append(
        helper.make_attribute("axis", 0)
    )
    model.graph.node.add(op_type="Special", domain="com.microsoft").attribute.append(
        helper.make_attribute("axis", -1)
    )
    drop_defaults(model)
    kept = [(node.op_type, [each.name for each in node.attribute]) for node in model.graph.node]
    assert kept == [
        ("Reshape", []),
        ("Softmax", []),
        ("If", ["else_branch", "then_branch"]),
        ("Softmax", ["axis"]),
        ("Special", ["axis"]),
    ]
    del model.graph.node[3:]
    assert same(model)


@pytest.mark.parametrize("shape", ["[0, 3]", "computed"])
def test_a_reshape_whose_shape_may_have_a_zero_still_says_what_it_means(shape: str) -> None:
    model = noted()
    if shape == "computed":
        model.graph.node[0].input[1] = "elsewhere"
    else:
        model.graph.initializer[0].CopyFrom(from_array(np.array([0, 3]), "shape"))
    drop_defaults(model)
    assert [each.name for each in model.graph.node[0].attribute] == ["allowzero"]


def test_equal_constants_are_stored_once_also_for_inner_graphs() -> None:
    model = noted()
    strip(model)
    share_constants(model.graph, set())
    assert [each.name for each in model.graph.initializer] == ["shape", "two"]
    assert same(model)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a tensor of the module", np.float32(2)),
        ("of another shape", np.ones((1,), np.float32) * 2),
        ("of another type", np.float64(2)),
        ("of other numbers", np.float32(3)),
    ],
)
def test_a_constant_that_is_another_one_stays(name: str, value: object) -> None:
    graph = noted().graph
    graph.initializer[2].CopyFrom(from_array(np.asarray(value), name))
    share_constants(graph, {"a tensor of the module"})
    assert [each.name for each in graph.initializer] == ["shape", "two", name]


def test_a_constant_that_an_output_gives_stays() -> None:
    graph = noted().graph
    graph.output.append(helper.make_tensor_value_info("zwei", FLOAT, []))
    share_constants(graph, set())
    assert [each.name for each in graph.initializer] == ["shape", "two", "zwei"]


def with_both(other: NDArray[np.float32]) -> onnx.ModelProto:
    """x @ table.T, beside a matrix that may be that transpose."""
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "other"], ["y"]),
            helper.make_node("Gather", ["table", "i"], ["z"]),
        ],
        "main",
        [
            helper.make_tensor_value_info("x", FLOAT, [2, 8]),
            helper.make_tensor_value_info("i", INT64, [2]),
        ],
        [
            helper.make_tensor_value_info("y", FLOAT, [2, 20]),
            helper.make_tensor_value_info("z", FLOAT, [2, 8]),
        ],
        [from_array(TABLE, "table"), from_array(other, "other")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


def test_a_table_and_its_transpose_are_stored_once_and_give_the_same_numbers() -> None:
    given = {"x": np.ones((2, 8), np.float32), "i": np.array([3, 5])}
    model = with_both(np.ascontiguousarray(TABLE.T))
    before = ReferenceEvaluator(model).run(None, given)
    share_turned(model.graph, {"table"})
    onnx.checker.check_model(model, full_check=True)
    assert [each.name for each in model.graph.initializer] == ["table"]
    for old, new in zip(before, ReferenceEvaluator(model).run(None, given), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("other", "tensors"),
    [
        (np.ascontiguousarray(TABLE.T) + np.float32(1), {"table"}),
        (TABLE.reshape(8, 20), {"table"}),
        (np.ascontiguousarray(TABLE.T), {"table", "other"}),  # the module holds both
    ],
    ids=["other numbers", "another order", "a tensor of its own"],
)
def test_a_matrix_that_is_no_transpose_stays(other: NDArray[np.float32], tensors: set[str]) -> None:
    model = with_both(other)
    share_turned(model.graph, tensors)
    assert [each.name for each in model.graph.initializer] == ["table", "other"]
    assert [each.op_type for each in model.graph.node] == ["MatMul", "Gather"]


def test_an_artifact_holds_no_notes_and_its_tensors_keep_their_names(
    captured: Capture, tmp_path: Path
) -> None:
    path = to_onnx(captured, tmp_path / "tiny.onnx")
    model = onnx.load(path)
    assert b"pkg.torch" not in path.read_bytes()
    assert not any(node.HasField("doc_string") for node in model.graph.node)
    stored = {each.name for each in model.graph.initializer}
    assert set(captured.program.state_dict) & stored
    assert all(name in captured.program.state_dict or len(name) < 4 for name in stored)
