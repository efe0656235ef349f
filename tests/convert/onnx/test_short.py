"""An ONNX file says the same with short names: inner graphs follow; what cannot be inferred is still told."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from pocketrec.convert.onnx.short import shorten

FLOAT = TensorProto.FLOAT


def branching() -> onnx.ModelProto:
    """`y = (x + 1) * 2` where the sum of x is above 0, else `-(x + 1)`; the branches read an outer value."""

    def info(name: str, shape: list[int]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, FLOAT, shape)

    def branch(name: str, node: onnx.NodeProto) -> onnx.GraphProto:
        after = helper.make_node("Identity", ["a_value_inside"], [f"the_output_of_{name}"])
        given = info(f"the_output_of_{name}", [3])
        return helper.make_graph([node, after], name, [], [given], value_info=[info("a_value_inside", [3])])

    doubled = helper.make_node("Mul", ["plus_one", "weights.two"], ["a_value_inside"], name="node_Mul_7")
    turned = helper.make_node("Neg", ["plus_one"], ["a_value_inside"])
    nodes = [
        helper.make_node("Add", ["x", "weights.one"], ["plus_one"], name="node_Add_1"),
        helper.make_node("ReduceSum", ["x"], ["the_sum_of_all"], keepdims=0),
        helper.make_node("Greater", ["the_sum_of_all", "weights.zero"], ["whether_above"]),
        helper.make_node(
            "If",
            ["whether_above"],
            ["y"],
            then_branch=branch("doubled", doubled),
            else_branch=branch("turned", turned),
        ),
    ]
    stored = [
        helper.make_tensor("weights.one", FLOAT, [1], [1.0]),
        helper.make_tensor("weights.two", FLOAT, [1], [2.0]),
        helper.make_tensor("weights.zero", FLOAT, [], [0.0]),
    ]
    graph = helper.make_graph(nodes, "main", [info("x", [3])], [info("y", [3])], stored)
    graph.value_info.append(info("plus_one", [3]))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model: onnx.ModelProto, x: Sequence[float]) -> list[float]:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found: list[float] = session.run(None, {"x": np.array(x, np.float32)})[0].tolist()
    return found


def test_the_graph_and_those_inside_of_it_give_the_same_under_short_names() -> None:
    model = branching()
    before, size = [run(model, each) for each in ([1, 2, 3], [-1, -2, -3])], model.ByteSize()
    names = shorten(model.graph, {"weights.one", "weights.two", "weights.zero"})
    onnx.checker.check_model(model, full_check=True)
    assert [run(model, each) for each in ([1, 2, 3], [-1, -2, -3])] == before == [[4, 6, 8], [0, 1, 2]]
    assert model.ByteSize() < size
    assert {"x", "y", "weights.one", "weights.two", "weights.zero"}.isdisjoint(names)
    assert [each.name for each in model.graph.initializer] == ["weights.one", "weights.two", "weights.zero"]
    assert model.graph.node[0].output[0] == names["plus_one"] == model.graph.node[0].name
    branches = [each.g for each in model.graph.node[3].attribute]
    assert all(names["a_value_inside"] == each.node[0].output[0] for each in branches)
    assert all(each.output[0].name in names.values() for each in branches)


def test_types_that_follow_are_left_out_and_those_of_another_domain_are_told() -> None:
    model = branching()
    other = helper.make_node("Special", ["plus_one"], ["special"], domain="com.microsoft")
    model.graph.node.insert(1, other)
    model.graph.value_info.append(helper.make_tensor_value_info("special", FLOAT, [3]))
    names = shorten(model.graph, set())
    assert [each.name for each in model.graph.value_info] == [names["special"]]
    assert not any(each.g.value_info for each in model.graph.node[4].attribute)


def test_a_constant_that_is_no_tensor_is_renamed_wherever_it_is_read() -> None:
    model = branching()
    before = [run(model, each) for each in ([1, 2, 3], [-1, -2, -3])]
    names = shorten(model.graph, {"weights.one"})
    assert [run(model, each) for each in ([1, 2, 3], [-1, -2, -3])] == before
    stored = [each.name for each in model.graph.initializer]
    assert stored == ["weights.one", names["weights.two"], names["weights.zero"]]
    assert all(len(each) == 2 for each in stored[1:])
