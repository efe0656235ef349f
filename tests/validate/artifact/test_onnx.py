"""Any part of an ONNX file runs by itself, and nothing that is not needed for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


def model_of(nodes: list[onnx.NodeProto], **more: Any) -> onnx.ModelProto:
    """A model from `x` [2, 2] to `y`, as any tool could write it."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 2]) for name in "xy")
    functions = more.pop("functions", [])
    made = helper.make_graph(nodes, "g", [x], [y], **more)
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("own", 1)]
    return helper.make_model(made, opset_imports=imports, ir_version=10, functions=functions)


@pytest.mark.parametrize(("opset", "ops"), [(21, ["Mul", "Neg"]), (20, ["Double", "Neg"])])
def test_a_local_function_is_its_ops_for_everybody_unless_of_another_opset(
    tmp_path: Path, opset: int, ops: list[str]
) -> None:
    body = [
        helper.make_node("Constant", [], ["two"], value_float=2.0),
        helper.make_node("Mul", ["a", "two"], ["b"]),
    ]
    double = helper.make_function("own", "Double", ["a"], ["b"], body, [helper.make_opsetid("", opset)])
    nodes = [
        helper.make_node("Double", ["x"], ["d"], domain="own"),
        helper.make_node("Neg", ["d"], ["y"]),
    ]
    onnx.save(model_of(nodes, functions=[double]), str(tmp_path / "f.onnx"))
    found = read_onnx(tmp_path / "f.onnx")
    assert [op.type for op in found.ops] == ops
    np.testing.assert_array_equal(found.evaluate(["d"], {"x": X})["d"], 2 * X)
    np.testing.assert_array_equal(found.evaluate(["y"], {"d": X})["y"], -X)


def test_constants_of_every_kind_are_no_ops_have_numbers_and_take_part_in_what_is_run(tmp_path: Path) -> None:
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("holes", TensorProto.FLOAT, [2], [5.0, 7.0]),
        helper.make_tensor("places", TensorProto.INT64, [2], [0, 3]),
        [2, 2],
    )
    value = helper.make_tensor("v", TensorProto.FLOAT, [2, 2], [1.0, 2.0, 3.0, 4.0])
    nodes = [
        helper.make_node("Constant", [], ["whole"], value=value),
        helper.make_node("Constant", [], ["list"], value_floats=[1.0, 2.0]),
        helper.make_node("Constant", [], ["word"], value_string="w"),
        helper.make_node("Add", ["x", "whole"], ["a"]),
        helper.make_node("Add", ["a", "list"], ["b"]),
        helper.make_node("Add", ["b", "holes"], ["y"]),
    ]
    model = model_of(nodes, sparse_initializer=[sparse])
    onnx.save(model, str(tmp_path / "c.onnx"))
    found = read_onnx(tmp_path / "c.onnx")
    numbers = {each.name: each.load() for each in found.constants if each.load and each.dtype != "string"}
    np.testing.assert_array_equal(numbers["whole"], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(numbers["list"], [1, 2])
    np.testing.assert_array_equal(numbers["holes"], [[5, 0], [0, 7]])
    assert found.tensor("word").dtype == "string"
    assert [call.type for call in found.calls] == ["Add", "Add", "Add"]
    assert [call.inputs for call in found.calls] == [("x",), ("a",), ("b",)]
    assert {each.name: each.stored_bytes for each in found.stored} == {"whole": 16, "holes": 8 + 16}
    np.testing.assert_array_equal(found.evaluate(["b"], {"x": X})["b"], X + np.array([[2, 4], [4, 6]]))


def test_what_an_op_and_a_nested_graph_store_is_counted(tmp_path: Path) -> None:
    fill = helper.make_tensor("value", TensorProto.FLOAT, [1], [3.0])
    inner = helper.make_graph(
        [helper.make_node("Add", ["x", "inside"], ["moved"])],
        "then",
        [],
        [helper.make_tensor_value_info("moved", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(X, "inside")],
    )
    nodes = [
        helper.make_node("ConstantOfShape", ["sizes"], ["filled"], value=fill),
        helper.make_node("If", ["yes"], ["chosen"], then_branch=inner, else_branch=inner),
        helper.make_node("Add", ["filled", "chosen"], ["y"]),
    ]
    arrays = {"yes": np.array(True), "sizes": np.array([2, 2])}
    stored = [numpy_helper.from_array(each, name) for name, each in arrays.items()]
    onnx.save(model_of(nodes, initializer=stored), str(tmp_path / "n.onnx"))
    found = read_onnx(tmp_path / "n.onnx")
    assert {each.name: each.stored_bytes for each in found.stored} == {
        "yes": 1,
        "sizes": 16,
        "inside": 16,
        "filled": 4,
    }
    assert [(op.type, op.depth) for op in found.ops] == [
        ("ConstantOfShape", 0),
        ("If", 0),
        ("Add", 1),
        ("Add", 1),
        ("Add", 0),
    ]
    assert found.ops[1].captured == ("x", "x")


def test_numbers_beside_the_file_are_mapped_shared_and_part_of_what_is_run(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "table"], ["a"]),
        helper.make_node("Add", ["a", "again"], ["y"]),
    ]
    tables = [numpy_helper.from_array(X, "table"), numpy_helper.from_array(X, "again")]
    path = tmp_path / "e.onnx"
    onnx.save(
        model_of(nodes, initializer=tables),
        str(path),
        save_as_external_data=True,
        location="w",
        size_threshold=0,
    )
    model = onnx.load(str(path), load_external_data=False)
    first, second = model.graph.initializer
    second.ClearField("external_data")
    second.external_data.extend(first.external_data)
    path.write_bytes(model.SerializeToString())
    found = read_onnx(path)
    assert found.files == (path, (tmp_path / "w").resolve())
    assert len(list(found.stored)) == 1
    load = found.tensor("table").load
    assert load is not None
    assert isinstance(load(), np.memmap)
    np.testing.assert_array_equal(found.evaluate(["y"], {"x": X})["y"], X @ X + X)


def test_four_bit_codes_beside_the_file_are_numbers(tmp_path: Path) -> None:
    codes = helper.make_tensor("codes", TensorProto.INT4, [2, 4], [1, -2, 3, -4, 5, -6, 7, -8])
    nodes = [
        helper.make_node("DequantizeLinear", ["codes", "one"], ["wide"]),
        helper.make_node("MatMul", ["x", "wide"], ["y"]),
    ]
    path = tmp_path / "q.onnx"
    model = model_of(nodes, initializer=[codes, numpy_helper.from_array(np.float32(1), "one")])
    onnx.save(model, str(path), save_as_external_data=True, location="w", size_threshold=0)
    found = read_onnx(path)
    tensor = found.tensor("codes")
    assert (tensor.dtype, tensor.stored_bytes) == ("int4", 4)
    assert tensor.load is not None
    np.testing.assert_array_equal(tensor.load().astype(int), [[1, -2, 3, -4], [5, -6, 7, -8]])
    wide = found.evaluate(["wide"], {"x": X})["wide"]
    np.testing.assert_array_equal(wide, [[1, -2, 3, -4], [5, -6, 7, -8]])
