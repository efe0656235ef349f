"""Any part of an ONNX file runs by itself, and nothing that is not needed for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pocketrec.errors import ArtifactError, ExecutionError
from pocketrec.validate.artifact.graph import Graph
from pocketrec.validate.artifact.onnx import read_onnx

X = np.array([[1, -2], [3, 4]], np.float32)


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    """double = x * two; chosen = if flag: double + shift else double; and an op that fails."""
    inner = helper.make_graph(
        [helper.make_node("Add", ["double", "shift"], ["moved"])],
        "then",
        [],
        [helper.make_tensor_value_info("moved", TensorProto.FLOAT, None)],
    )
    other = helper.make_graph(
        [helper.make_node("Identity", ["double"], ["same"])],
        "else",
        [],
        [helper.make_tensor_value_info("same", TensorProto.FLOAT, None)],
    )
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["double"], name="doubling"),
        helper.make_node("If", ["flag"], ["chosen"], then_branch=inner, else_branch=other),
        helper.make_node("Gather", ["chosen", "far"], ["beyond"]),
        helper.make_node("Neg", ["chosen"], ["y"]),
    ]
    values = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2]),
        helper.make_tensor_value_info("flag", TensorProto.BOOL, []),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2]),
    ]
    constants = [
        numpy_helper.from_array(np.float32(2), "two"),
        numpy_helper.from_array(np.float32(10), "shift"),
        numpy_helper.from_array(np.array([99]), "far"),
    ]
    made = helper.make_graph(nodes, "g", values[:2], values[2:], constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, str(tmp_path / "part.onnx"))
    return read_onnx(tmp_path / "part.onnx")


def test_ops_tell_what_they_read_through_their_branches(graph: Graph) -> None:
    assert [each.name for each in graph.calls] == ["doubling", "chosen", "beyond", "y"]
    assert graph.calls[1].inputs == ("flag", "double")
    assert [(each.name, each.dtype) for each in graph.inputs] == [("x", "float32"), ("flag", "bool")]
    assert graph.dtype("double") == "float32"
    assert not graph.is_narrow


@pytest.mark.parametrize(("flag", "shift"), [(True, 10), (False, 0)])
def test_a_prefix_gives_the_tensor_and_leaves_out_what_it_does_not_need(
    graph: Graph, flag: bool, shift: int
) -> None:
    given = {"x": X, "flag": np.array(flag)}
    np.testing.assert_array_equal(graph.evaluate(["chosen"], given)["chosen"], 2 * X + shift)
    np.testing.assert_array_equal(graph.evaluate(["double"], {"x": X})["double"], 2 * X)


def test_a_part_starts_at_the_tensors_that_are_given(graph: Graph) -> None:
    given = {"double": X.astype(np.float64), "flag": np.array(True), "x": X}
    found = graph.evaluate(["y", "double"], given)
    np.testing.assert_array_equal(found["y"], -(X + 10))
    np.testing.assert_array_equal(found["double"], X)


def test_a_part_that_fails_names_the_tensor(graph: Graph) -> None:
    with pytest.raises(ExecutionError, match=r"part\.onnx: ONNX Runtime failed on the way to 'beyond'"):
        graph.evaluate(["beyond"], {"x": X, "flag": np.array(True)})


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"\xff" * 64)
    with pytest.raises(ArtifactError, match=r"bad\.onnx: not an ONNX file") as caught:
        read_onnx(tmp_path / "bad.onnx")
    assert "\n" not in str(caught.value)
