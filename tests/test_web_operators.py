"""The table of what onnxruntime-web runs, and what it says of a model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.numpy_helper import from_array

from pocketrec import web_operators as module
from pocketrec.web_operators import web_operators

TABLE = json.loads(Path(module.__file__).with_name("web_operators.json").read_text(encoding="utf-8"))
STATES = {"ok", "cpu", "none", "fails", "wrong"}


def model(*nodes: onnx.NodeProto, dtype: int = TensorProto.FLOAT, opset: int = 20) -> onnx.ModelProto:
    """A model from `x` of that dtype to whatever the last node makes."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", dtype, [2, 3])],
        [onnx.ValueInfoProto(name=nodes[-1].output[0])],
        [from_array(np.ones((2, 3), np.float32), "table")],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def said(given: onnx.ModelProto) -> list[str]:
    table = web_operators()
    return [text for met in table.met(given) if (text := table.said(met))]


def test_every_status_stands_in_every_column_and_no_dtype_has_two() -> None:
    assert len(TABLE["columns"]) == 3
    for op, variables in TABLE["operators"].items():
        for groups in variables.values():
            dtypes = [dtype for each in groups.values() for dtype in each.split()]
            assert len(dtypes) == len(set(dtypes)), op
            for states in groups:
                assert len(states.split()) == 3, op
                assert set(states.split()) <= STATES, op


def test_the_table_is_of_the_release_that_is_pinned_and_says_what_it_was_measured_on() -> None:
    assert web_operators().measured == (
        f"onnxruntime-web 1.30.0, Chromium {TABLE['chromium']}, WebGPU by google swiftshader"
    )


def test_an_operator_runs_where_every_column_runs_it() -> None:
    table = web_operators()
    assert table.runs("MatMul")
    assert table.runs("com.microsoft.MatMulNBits")
    assert not table.runs("com.microsoft.GatherBlockQuantized")  # the WebGPU build's CPU has no kernel
    assert not table.runs("NoSuchOperator")


def test_a_model_of_float32_meets_nothing_that_does_not_run() -> None:
    assert said(model(helper.make_node("Add", ["x", "table"], ["y"]))) == []


def test_a_dtype_without_a_kernel_is_named_with_its_places() -> None:
    assert said(model(helper.make_node("Add", ["x", "x"], ["y"]), dtype=TensorProto.DOUBLE)) == [
        "onnxruntime-web 1.30.0: no kernel for Add of float64 in ort.webgpu.min.mjs on wasm and "
        "ort.webgpu.min.mjs on webgpu"
    ]


def test_a_dtype_that_loads_and_fails_is_told_apart() -> None:
    assert said(model(helper.make_node("Add", ["x", "x"], ["y"]), dtype=TensorProto.FLOAT16)) == [
        "onnxruntime-web 1.30.0: fails at run on Add of float16 in ort.webgpu.min.mjs on webgpu"
    ]


def test_dtypes_on_the_way_are_inferred() -> None:
    nodes = (
        helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.INT64),
        helper.make_node("Cast", ["wide"], ["double"], to=TensorProto.DOUBLE),
        helper.make_node("Abs", ["double"], ["y"]),
    )
    found = said(model(*nodes))
    assert any("Cast of float64" in each for each in found)
    assert any("Abs of float64" in each for each in found)


def test_nested_graphs_are_read_with_the_dtypes_from_outside() -> None:
    branch = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["z"])],
        "b",
        [],
        [helper.make_tensor_value_info("z", 11, [2, 3])],
    )
    choice = helper.make_node("If", ["going"], ["y"], then_branch=branch, else_branch=branch)
    going = helper.make_node("Constant", [], ["going"], value=from_array(np.array(True), "true"))
    assert any("Add of float64" in each for each in said(model(going, choice, dtype=TensorProto.DOUBLE)))


@pytest.mark.parametrize("domain", ["", "example.com"])
def test_an_operator_that_was_not_measured_is_said_to_be_unknown(domain: str) -> None:
    name = f"{domain}.NoSuchOperator" if domain else "NoSuchOperator"
    assert said(model(helper.make_node("NoSuchOperator", ["x"], ["y"], domain=domain))) == [
        f"{name} is not in the table of operators of onnxruntime-web 1.30.0"
    ]
