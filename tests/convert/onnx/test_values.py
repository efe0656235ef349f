"""What rewrites ask of an ONNX graph, inner graphs included."""

from __future__ import annotations

import numpy as np
import onnx
from onnx.numpy_helper import from_array

from pocketrec.convert.onnx.values import GraphValues, drop_unread, rename_inputs, replace_nodes

make, info = onnx.helper.make_node, onnx.helper.make_tensor_value_info
FLOAT = onnx.TensorProto.FLOAT


def branching() -> onnx.GraphProto:
    """`y`, by a branch whose inner graphs read `one` and `x` of the outer one."""
    inner = [
        onnx.helper.make_graph([make(op, ["x", "one"], [f"{op}_y"])], op, [], [info(f"{op}_y", FLOAT, [2])])
        for op in ("Add", "Sub")
    ]
    nodes = [
        make("Identity", ["given"], ["x"]),
        make("If", ["condition"], ["y"], then_branch=inner[0], else_branch=inner[1]),
    ]
    stored = {"one": np.ones(2, np.float32), "unread": np.zeros(2, np.float32), "out": np.float64(1)}
    return onnx.helper.make_graph(
        nodes,
        "branching",
        [info("given", FLOAT, [2]), info("condition", onnx.TensorProto.BOOL, [])],
        [info("y", FLOAT, [2]), info("out", onnx.TensorProto.DOUBLE, [])],
        [from_array(np.asarray(value), name) for name, value in stored.items()],
        value_info=[info("x", FLOAT, [2])],
    )


def test_stored_values_stay_where_a_node_an_inner_graph_or_an_output_reads_them() -> None:
    graph = branching()
    drop_unread(graph)
    assert [each.name for each in graph.initializer] == ["one", "out"]


def test_a_value_that_only_inner_graphs_read_has_readers_and_is_renamed_there() -> None:
    graph = branching()
    assert not GraphValues(graph).has_one_reader("x")
    for node in graph.node:
        rename_inputs(node, {"x": "given"})
    replace_nodes(graph, list(graph.node))
    assert [node.op_type for node in graph.node] == ["If"]
    assert {each.g.node[0].input[0] for each in graph.node[0].attribute} == {"given"}


def test_shapes_types_and_makers_are_those_of_the_graph() -> None:
    graph = GraphValues(branching())
    assert graph.shape("one") == (2,)
    assert graph.shape("nowhere") is None
    assert (graph.columns("x"), graph.columns("condition")) == (2, -1)
    assert graph.is_float32("one")
    assert not graph.is_float32("out")
    assert not graph.is_float32("x")
    assert graph.maker("x", "Identity") is not None
    assert graph.maker("x", "Add") is None
    assert graph.is_output("y")
    assert not graph.is_output("x")
