"""Each rule fires where its hazard is and stays silent beside it; each is documented."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from pocketrec.validate.artifact.graph import Graph, Op, Tensor
from pocketrec.validate.lint import RULES, lint_graph
from pocketrec.validate.runtimes.runtime import TensorSpec

ROOT = Path(__file__).parents[3]
Origin = Literal["coreml", "onnx"]


def op(kind: str, output: str, **reads: str) -> Op:
    return Op(
        type=kind,
        kind=kind,
        name=output,
        inputs={key: (name,) for key, name in reads.items()},
        outputs=(output,),
    )


def tensor(name: str, dtype: str, *shape: int | None) -> Tensor:
    return Tensor(name=name, dtype=dtype, shape=shape)


def constant(name: str, array: Any) -> Tensor:
    array = np.asarray(array)
    return Tensor(name=name, dtype=array.dtype.name, shape=array.shape, load=lambda: array, place=id(array))


def table(name: str, rows: int, dtype: str = "float32", width: int = 4) -> Tensor:
    """A constant whose numbers no rule needs; a rule that reads it all the same gets zeros."""
    return Tensor(name=name, dtype=dtype, shape=(rows, width), load=lambda: np.zeros((rows, width), dtype))


def graph(
    *parts: Op | Tensor,
    origin: Origin = "coreml",
    metadata: Mapping[str, str] | None = None,
    output: str = "scores",
    bounds: tuple[tuple[int, int | None], ...] = ((1, 1),),
) -> Graph:
    """A graph with the int32 input `ids`; its output is what the last op makes, called `output`."""
    nodes = tuple(each for each in parts if isinstance(each, Op))
    values = {each.name: each for each in parts if isinstance(each, Tensor)}
    values.setdefault("ids", tensor("ids", "int32", 1))
    return Graph(
        name="fake",
        format=origin,
        wants_fixed_sizes=origin == "coreml",
        refuses_ids_beyond=origin == "onnx",
        ops=nodes,
        tensors=values,
        inputs=(TensorSpec(name="ids", dtype="int32", shape=(None,), bounds=bounds),),
        outputs=(TensorSpec(name=output, dtype="float32", shape=(1,)),),
        results=(nodes[-1].outputs[0],),
        metadata=metadata or {},
    )


def looped(kind: str) -> Graph:
    """A loop of a constant number of rounds, with an op in it that reads nothing else."""
    inner = replace(op(kind, "inner", x="n"), depth=1)
    made = graph(op("Loop", "y", x="n"), constant("n", np.int64(3)), inner)
    return replace(made, results=("y",))


def severities(rule: str, given: Graph) -> list[str]:
    return [each.severity for each in lint_graph(given) if each.rule == rule]


def ranked(dtype: str, count: int | None, *, scores: str = "float32", then: str = "") -> Graph:
    """A top-k of `count` scores whose indices are `dtype`, and then cast to `then`."""
    top = Op(
        type="topk", kind="topk", name="top", inputs={"x": ("s",), "k": ("k",)}, outputs=("best", "places")
    )
    parts: list[Op | Tensor] = [
        op("linear", "s", x="ids"), tensor("s", scores, 1, count), constant("k", np.int32(5)),
        top, tensor("places", dtype, 1, 5),
    ]  # fmt: skip
    if then:
        parts += [op("cast", "after", x="places"), tensor("after", then, 1, 5)]
    return graph(*parts)


def lookup(rows: int, *way: str, kind: str = "gather") -> Graph:
    """A lookup of `ids`, cast to each dtype of `way` in turn."""
    parts: list[Op | Tensor] = [table("t", rows)]
    name = "ids"
    for number, dtype in enumerate(way):
        parts += [op("cast", f"c{number}", x=name), tensor(f"c{number}", dtype, 1, 1)]
        name = f"c{number}"
    return graph(*parts, op(kind, "rows", x="t", indices=name))


def guarded(kind: str) -> Graph:
    """A lookup behind a select that `kind` decides."""
    return graph(
        constant("zero", np.int32(0)), constant("n", np.int32(100)), table("t", 100),
        op(kind, "good", x="ids", y="zero"), op("add", "other", x="ids", y="n"),
        op("select", "safe", cond="good", a="ids", b="other"), op("gather", "rows", x="t", indices="safe"),
    )  # fmt: skip


def checked(*kinds: str, origin: Origin = "onnx", reader: str = "gather") -> Graph:
    """A lookup behind a select that these comparisons of `ids` decide."""
    compared = [op(kind, f"c{number}", x="ids", y="n") for number, kind in enumerate(kinds)]
    names = {"x": "c0", "y": f"c{len(kinds) - 1}"}
    return graph(
        constant("n", np.int32(100)), table("t", 100), *compared, op("logical_or", "outside", **names),
        op("select", "safe", cond="outside", a="n", b="ids"), op(reader, "rows", x="t", indices="safe"),
        origin=origin,
    )  # fmt: skip


def arithmetic(kind: str, number: int, origin: Origin = "coreml", dtype: str = "int32") -> Graph:
    result = op(kind, "r", x="ids", y="c")
    return graph(constant("c", np.asarray(number, dtype)), result, tensor("r", dtype, 1), origin=origin)


def masked(kind: str, number: float, dtype: str = "float16", reader: str = "softmax") -> Graph:
    reads = {"cond": "ids", "a": "c", "b": "s"} if kind == "select" else {"x": "s", "y": "c"}
    return graph(
        op("linear", "s", x="ids"), constant("c", np.float32(number)), op(kind, "m", **reads),
        op("cast", "h", x="m"), tensor("h", dtype, 1, 9), op(reader, "y", x="h"),
    )  # fmt: skip


def stored(*tables: Tensor, kind: str = "linear") -> Graph:
    return graph(*tables, op(kind, "y", x="ids"))


def named(output: str) -> Graph:
    return graph(op("linear", "y", x="ids"), output=output)


NUMBERS = np.random.default_rng(0).normal(size=(600, 4)).astype(np.float32)
DROPOUT = Op(type="Dropout", kind="Dropout", name="y", inputs={"0": ("ids",), "2": ("on",)}, outputs=("y",))
DATED = {"com.github.apple.coremltools.conversion_date": "2026-01-01"}
PACKED = table("codes", 3_000, "int8")

FIRES: list[tuple[str, str, Graph]] = [
    ("narrow-top-k-indices", "error", ranked("uint16", 65_537)),
    ("narrow-top-k-indices", "error", ranked("int32", 40_000, then="int16")),
    ("narrow-top-k-indices", "warning", ranked("uint16", None)),
    ("narrow-gather-indices", "error", lookup(40_000, "int16")),
    ("narrow-gather-indices", "error", lookup(300, "uint8", "int32")),
    ("narrow-gather-indices", "error", lookup(70_000, "uint16", kind="gather_along_axis")),
    ("ids-narrowed-on-entry", "warning", lookup(100, "int16", "int32")),
    ("ids-in-float", "error", lookup(5_000, "float16", "int32")),
    ("ids-in-float", "error", lookup(20_000_000, "float32", "int32")),
    ("ids-in-float", "error", ranked("int32", 5_000, then="float16")),
    ("index-guard-chain", "note", guarded("greater_equal")),
    ("unguarded-ids", "note", lookup(100)),
    ("unguarded-ids", "note", guarded("greater_equal")),
    ("unguarded-ids", "note", checked("less", origin="coreml")),
    ("unguarded-ids", "warning", checked("less", reader="gather_block_quantized")),
    ("unguarded-ids", "warning", checked("equal")),
    ("saturated-constant", "error", arithmetic("mul", 2**31 - 1)),
    ("saturated-constant", "error", arithmetic("add", -(2**31))),
    ("saturated-constant", "warning", arithmetic("mod", 2**31 - 1)),
    ("product-beyond-int32", "warning", arithmetic("mul", 1_000_003)),
    ("mask-beyond-float16", "warning", masked("select", -3.4e38)),
    ("mask-beyond-float16", "warning", masked("add", -1e9, reader="reduce_max")),
    ("mask-beyond-float16", "error", masked("mul", -1e9)),
    ("float16-scores", "warning", ranked("int32", 2_000, scores="float16")),
    ("uncompressed-table", "warning", stored(PACKED, table("t", 3_000))),
    ("uncompressed-table", "warning", stored(table("t", 3_000), kind="MatMulNBits")),
    ("duplicate-table", "warning", stored(constant("a", NUMBERS), constant("b", NUMBERS.copy()))),
    ("duplicate-table", "warning", stored(constant("a", NUMBERS), constant("b", NUMBERS.T.copy()))),
    ("duplicate-table", "warning", stored(constant("a", NUMBERS), constant("b", NUMBERS.astype(np.float16)))),
    ("dynamic-shape", "warning", graph(op("linear", "y", x="ids"), bounds=((1, 64),))),
    ("dynamic-shape", "warning", graph(op("linear", "y", x="ids"), bounds=((1, None),))),
    *(("unnamed-output", "warning", named(name)) for name in
      ("var_38", "linear_5", "output_0", "38", "var_20_cast_fp16", "addmm", "_to_copy", "main/var_3")),
    ("constant-output", "error", graph(constant("a", NUMBERS), op("identity", "y", x="a"))),
    ("constant-output", "error", looped("Add")),
    ("unused-input", "warning", graph(constant("a", NUMBERS), op("identity", "y", x="a"))),
    ("loop", "warning", graph(op("SequenceEmpty", "s"), op("Loop", "y", x="ids"))),
    ("loop", "note", graph(op("while_loop", "y", x="ids"))),
    ("random-op", "error", graph(op("random_normal", "y", x="ids"))),
    ("random-op", "error", graph(constant("on", np.array(True)), DROPOUT)),
    ("conversion-date", "note", graph(op("linear", "y", x="ids"), metadata=DATED)),
]  # fmt: skip

SILENT: list[tuple[str, Graph]] = [
    ("narrow-top-k-indices", ranked("uint16", 65_536)),
    ("narrow-top-k-indices", ranked("int32", 70_000)),
    ("narrow-gather-indices", lookup(32_768, "int16")),
    ("narrow-gather-indices", lookup(70_000, "int32")),
    ("ids-narrowed-on-entry", lookup(100, "int32")),
    ("ids-in-float", lookup(2_049, "float16", "int32")),
    ("ids-in-float", lookup(5_000, "float32", "int32")),
    ("ids-in-float", ranked("int32", 5_000, then="float32")),
    ("index-guard-chain", guarded("not_equal")),
    ("unguarded-ids", checked("less")),
    ("unguarded-ids", checked("less", "greater_equal", origin="coreml")),
    ("unguarded-ids", checked("less", "greater_equal", reader="gather_block_quantized")),
    ("saturated-constant", arithmetic("mul", 31)),
    ("saturated-constant", arithmetic("less", 2**31 - 1)),
    ("saturated-constant", arithmetic("mul", 2**31 - 1, "onnx", "int64")),
    ("product-beyond-int32", arithmetic("mul", 31)),
    ("product-beyond-int32", arithmetic("mul", 1_000_003, "onnx", "int64")),
    ("mask-beyond-float16", masked("select", -3e4)),
    ("mask-beyond-float16", masked("select", -3.4e38, dtype="float32")),
    ("mask-beyond-float16", masked("select", -3.4e38, reader="linear")),
    ("float16-scores", ranked("int32", 1_000, scores="float16")),
    ("uncompressed-table", stored(table("t", 3_000))),
    ("uncompressed-table", stored(PACKED, table("t", 600))),
    ("duplicate-table", stored(constant("a", NUMBERS), constant("b", NUMBERS + 1))),
    ("duplicate-table", stored(constant("a", NUMBERS), constant("b", NUMBERS))),  # one blob, two names
    ("dynamic-shape", graph(op("linear", "y", x="ids"), bounds=((1, 64),), origin="onnx")),
    *(("unnamed-output", named(name)) for name in ("scores", "top_10", "best_ids", "user_embedding")),
    ("constant-output", looped("RandomUniform")),
    ("constant-output", named("scores")),
    ("unused-input", named("scores")),
    ("loop", named("scores")),
    ("random-op", graph(op("Dropout", "y", x="ids"))),
    ("conversion-date", named("scores")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "severity", "given"), FIRES, ids=lambda each: str(each)[:30])
def test_a_rule_fires_where_its_hazard_is(rule: str, severity: str, given: Graph) -> None:
    assert severities(rule, given) == [severity]


@pytest.mark.parametrize(("rule", "given"), SILENT, ids=lambda each: str(each)[:30])
def test_a_rule_is_silent_beside_its_hazard(rule: str, given: Graph) -> None:
    assert severities(rule, given) == []


def test_every_rule_is_seen_both_ways() -> None:
    assert {each[0] for each in FIRES} == {each[0] for each in SILENT} == set(RULES)


def test_a_gather_nd_is_held_to_the_largest_dim_that_it_indexes() -> None:
    def given(rows: int) -> Graph:
        return graph(
            tensor("x", "float16", 2, rows, 8), op("linear", "x", x="ids"),
            op("cast", "i", x="ids"), tensor("i", "int16", 1, 2), op("gather_nd", "y", x="x", indices="i"),
        )  # fmt: skip

    assert severities("narrow-gather-indices", given(40_000)) == ["error"]
    assert severities("narrow-gather-indices", given(400)) == ["note"]


def test_a_finding_says_what_follows_and_what_to_do() -> None:
    for each in RULES.values():
        assert each.consequence
        assert each.remedy
        assert "\n" not in each.consequence + each.remedy


def undocumented(text: str) -> list[str]:
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (.*) \|$", text, re.MULTILINE))
    return [
        name
        for name, rule in RULES.items()
        if f"{rule.consequence} | {rule.remedy}" not in rows.get(name, "")
        or not all(severity in rows[name] for rule_, severity, _ in FIRES if rule_ == name)
    ]


def test_every_rule_is_documented_with_its_severities() -> None:
    text = (ROOT / "docs" / "lint.md").read_text(encoding="utf-8")
    assert undocumented(text) == []
    assert undocumented(text.replace("`loop` |", "`lop` |")) == ["loop"]
