"""Each rule is met by what it is about and not by its twin, and says who wrote it and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pocketrec.validate.artifact.coreml import read_core_ml
from pocketrec.validate.artifact.graph import Graph, Op, Tensor
from pocketrec.validate.profile.neural_engine import RULES, reasons, rules_met
from pocketrec.validate.runtimes.runtime import TensorSpec

Shapes = Mapping[str, tuple[str, tuple[int, ...]]]
FLOATS: Shapes = {"y": ("float16", (1, 16))}


def graph_of(op: Op, tensors: Shapes, *, free: bool = False) -> Graph:
    bounds = ((1, 8), (16, 16)) if free else ((1, 1), (16, 16))
    spec = TensorSpec(name="x", dtype="float16", shape=(None if free else 1, 16), bounds=bounds)
    return Graph(
        name="a",
        format="coreml",
        ops=(op,),
        tensors={
            name: Tensor(name=name, dtype=dtype, shape=shape) for name, (dtype, shape) in tensors.items()
        },
        inputs=(spec,),
        outputs=(),
        results=(),
        wants_fixed_sizes=True,
    )


def op(kind: str, **inputs: str) -> Op:
    bound = {name: (tensor,) for name, tensor in inputs.items()}
    return Op(type=kind, kind=kind, name="op", inputs=bound, outputs=("y",))


BLOCKS = op("constexpr_blockwise_shift_scale", data="d", scale="s")
CASES: Mapping[str, tuple[Op, Shapes, Op | None]] = {
    "float32": (op("add"), {"y": ("float32", (1, 16))}, op("cast")),
    "scales per block": (BLOCKS, {**FLOATS, "d": ("int4", (32, 16)), "s": ("float16", (32, 4))}, op("add")),
    "more than 5 axes": (op("reshape"), {"y": ("float16", (1, 1, 1, 1, 4, 4))}, None),
    "recurrent ops": (op("gru"), FLOATS, op("linear")),
    "lookups": (op("gather", x="d"), {**FLOATS, "d": ("float16", (90, 16))}, op("linear")),
    "custom layers": (op("custom_layer"), FLOATS, op("linear")),
    "control flow": (op("while_loop"), FLOATS, op("linear")),
    "int32": (op("add"), {"y": ("int32", (1, 16))}, None),
    "a long axis": (op("linear"), {"y": ("float16", (1, 16385))}, None),
}


@pytest.mark.parametrize("name", CASES)
def test_a_rule_is_met_by_its_case_alone(name: str) -> None:
    bad, shapes, twin = CASES[name]
    assert name in {each.rule for each in reasons(graph_of(bad, shapes))}
    assert name in rules_met(graph_of(bad, shapes))["op"]
    good = graph_of(twin, shapes) if twin is not None else graph_of(bad, FLOATS)
    assert name not in {each.rule for each in reasons(good)}


def test_scales_of_whole_rows_are_no_blocks() -> None:
    shapes = {**FLOATS, "d": ("int8", (32, 16)), "s": ("float16", (32, 1))}
    assert reasons(graph_of(BLOCKS, shapes)) == ()


def test_a_range_of_an_input_is_named() -> None:
    (found,) = reasons(graph_of(op("linear"), FLOATS, free=True))
    assert (found.rule, found.count, found.examples) == ("a range of shapes", 1, ("x",))
    assert found.author == "Apple"


def test_every_rule_has_a_case_and_a_source() -> None:
    assert {each.name for each in RULES} == {*CASES, "a range of shapes"}
    assert all(each.source.startswith("https://") for each in RULES)


def test_a_real_package_meets_the_lookups_rule_with_its_table(packages: Path) -> None:
    found = {each.rule: each for each in reasons(read_core_ml(packages / "float16.mlpackage"))}
    assert found["lookups"].examples[0].endswith("from [12, 4]")


def test_a_format_that_core_ml_does_not_run_meets_none() -> None:
    graph = graph_of(op("gru"), FLOATS)
    assert reasons(replace(graph, wants_fixed_sizes=False)) == ()
