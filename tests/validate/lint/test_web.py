"""What a browser does not run is named in any .onnx file, by the table that was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.numpy_helper import from_array

from pocketrec.validate.lint import ENGINES, lint_artifact
from pocketrec.web_operators import web_operators

ROOT = Path(__file__).parents[3]
RULES = ENGINES["web"]


def add(dtype: Any = np.float32, *, opset: int = 20, ir: int = 10, op: str = "Add", domain: str = "") -> Any:
    """`x` and a constant of that dtype into one operator."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        [helper.make_node(op, ["x", "held"], ["y"], name="node", domain=domain)],
        "g",
        [helper.make_tensor_value_info("x", kind, [3])],
        [helper.make_tensor_value_info("y", kind, [3])],
        [from_array(np.ones(3, dtype), "held")],
    )
    opsets = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir)


def hits(name: str, model: Any) -> list[tuple[str, str, str]]:
    return [(each.severity, each.place, each.message) for each in RULES[name].check(model)]


@pytest.mark.parametrize(
    ("rule", "model", "expected"),
    [
        (
            "web-no-kernel",
            add(np.float64),
            (
                "error",
                "node",
                "onnxruntime-web 1.30.0: no kernel for Add of float64 in ort.webgpu.min.mjs on wasm",
            ),
        ),
        (
            "web-no-kernel",
            add(np.float16),
            (
                "error",
                "node",
                "onnxruntime-web 1.30.0: fails at run on Add of float16 in ort.webgpu.min.mjs on",
            ),
        ),
        (
            "web-unknown-operator",
            add(op="Mine", domain="own"),
            ("warning", "node", "own.Mine is not in the table"),
        ),
        ("web-float16-constant", add(np.float16), ("error", "held", "a constant in float16, 3")),
        (
            "web-young-file",
            add(opset=27),
            ("error", "file", "opset 27; onnxruntime-web 1.30.0 loads up to 26"),
        ),
        (
            "web-young-file",
            add(ir=14),
            ("error", "file", "IR version 14; onnxruntime-web 1.30.0 loads up to 13"),
        ),
        ("web-left-to-cpu", add(np.int64), ("note", "webgpu", "on the CPU: Add of int64")),
    ],
)
def test_a_hazard_is_named(rule: str, model: Any, expected: tuple[str, str, str]) -> None:
    (found,) = hits(rule, model)
    assert found[:2] == expected[:2]
    assert found[2].startswith(expected[2])


@pytest.mark.parametrize("rule", RULES)
def test_a_file_that_runs_everywhere_has_none(rule: str) -> None:
    assert hits(rule, add()) == []


def test_an_operator_at_several_places_is_one_hit_that_counts_them() -> None:
    model = add(np.float64)
    model.graph.node.append(helper.make_node("Add", ["y", "held"], ["z"], name="second"))
    (found,) = hits("web-no-kernel", model)
    assert found[1] == "node"
    assert found[2].endswith("(2 places)")


def test_a_constant_node_in_a_nested_graph_is_a_constant_too() -> None:
    half = helper.make_node("Constant", [], ["z"], value=from_array(np.ones(3, np.float16), "inner"))
    branch = helper.make_graph(
        [half], "b", [], [helper.make_tensor_value_info("z", TensorProto.FLOAT16, [3])]
    )
    model = add()
    model.graph.node.append(helper.make_node("If", ["go"], ["w"], then_branch=branch, else_branch=branch))
    assert [each[1] for each in hits("web-float16-constant", model)] == ["inner", "inner"]


def test_forms_that_fail_are_told_by_the_names_of_their_tests() -> None:
    form = next(iter(web_operators().forms["ConvTranspose"]))
    node = helper.make_node("ConvTranspose", ["x", "held"], ["z"], name="up")
    model = add()
    model.graph.node.append(node)
    (found,) = hits("web-failing-form", model)
    assert (found[0], found[1]) == ("note", "ConvTranspose")
    assert form in found[2]


def test_an_artifact_is_asked_only_where_the_engine_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(add(np.float16), str(path))
    assert not {each.rule for each in lint_artifact(path)} & RULES.keys()
    found = {each.rule: each for each in lint_artifact(path, engine="web")}
    assert {"web-no-kernel", "web-float16-constant"} <= found.keys()
    assert found["web-float16-constant"].remedy.startswith("store it as float32")


def test_every_rule_is_documented() -> None:
    text = (ROOT / "docs" / "lint.md").read_text(encoding="utf-8")
    for name, rule in RULES.items():
        assert f"| `{name}` |" in text
        assert f"{rule.consequence} | {rule.remedy}" in text
