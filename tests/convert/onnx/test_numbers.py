"""A sigmoid is written in parts where something asks for more than a rounding of 1, else it is one op."""

from __future__ import annotations

import pytest
from onnx import TensorProto, helper

from pocketrec.convert.onnx.numbers import exact_sigmoids


def _ops(*readers: str) -> list[str]:
    """The ops of a graph of a sigmoid and a chain of readers."""
    nodes = [helper.make_node("Sigmoid", ["x"], ["v0"])]
    for place, op in enumerate(readers):
        inputs = [f"v{place}", "x"] if op in ("Mul", "Div", "Add", "Concat") else [f"v{place}"]
        nodes.append(helper.make_node(op, inputs[::-1] if op == "Div" else inputs, [f"v{place + 1}"]))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in ("x", f"v{len(readers)}")]
    graph = helper.make_graph(nodes, "main", ends[:1], ends[1:])
    exact_sigmoids(graph)
    return [node.op_type for node in graph.node]


@pytest.mark.parametrize("readers", [("Log",), ("Add", "Squeeze", "Log"), ("Div",), ("Concat", "Sqrt")])
def test_what_tells_small_shares_apart_reads_an_exact_one(readers: tuple[str, ...]) -> None:
    assert _ops(*readers) == ["Neg", "Exp", "Add", "Div", *readers]


@pytest.mark.parametrize("readers", [(), ("Mul",), ("Mul", "Log"), ("Add", "Relu")])
def test_a_gate_and_a_probability_stay_one_op(readers: tuple[str, ...]) -> None:
    assert _ops(*readers) == ["Sigmoid", *readers]
