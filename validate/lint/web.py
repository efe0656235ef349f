"""Hazards of an .onnx file in onnxruntime-web: what has no kernel there, by the measured table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pocketrec.validate.lint.finding import Hit, Rule, Severity
from pocketrec.web_operators import LARGEST_IR, LARGEST_OPSET, Met, dtype_name, nested, web_operators

_NARROW = frozenset({"float16", "bfloat16"})


def no_kernel(model: Any) -> Iterator[Hit]:
    """A hit for each operator and dtype that a column of the table does not run."""
    table = web_operators()
    for met, count in _met(model):
        said = table.said(met)
        if said and met.states:
            yield Hit(severity="error", place=met.name, message=f"{said}{_times(count)}")


def unknown_operator(model: Any) -> Iterator[Hit]:
    """A hit for each operator, and a milder one for each dtype of a known one, that was not measured."""
    table = web_operators()
    for met, count in _met(model):
        if not met.states:
            severity: Severity = "note" if met.dtype else "warning"
            yield Hit(severity=severity, place=met.name, message=f"{table.said(met)}{_times(count)}")


def float16_constant(model: Any) -> Iterator[Hit]:
    """A hit for each constant that a GPU without float16 cannot read."""
    for graph in _graphs(model.graph):
        constants = [*graph.initializer, *(each.t for node in graph.node for each in _values(node))]
        for each in constants:
            dtype = dtype_name(each.data_type)
            if dtype in _NARROW:
                shape = " × ".join(map(str, each.dims)) or "one number"
                yield Hit(severity="error", place=each.name, message=f"a constant in {dtype}, {shape}")


def young_file(model: Any) -> Iterator[Hit]:
    """A hit where the file's opset or its form is younger than what the engine loads."""
    opset = max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=0)
    for what, found, most in (("opset", opset, LARGEST_OPSET), ("IR version", model.ir_version, LARGEST_IR)):
        if found > most:
            message = f"{what} {found}; onnxruntime-web {web_operators().version} loads up to {most}"
            yield Hit(severity="error", place="file", message=message)


def left_to_cpu(model: Any) -> Iterator[Hit]:
    """A hit where operators of a WebGPU session run on the CPU."""
    names = [f"{met.op} of {met.dtype}" for met, _ in _met(model) if "cpu" in met.states]
    if names:
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        yield Hit(severity="note", place="webgpu", message=f"on the CPU: {', '.join(names[:8])}{more}")


def form_that_fails(model: Any) -> Iterator[Hit]:
    """A hit for each operator of which some forms do not run."""
    forms = web_operators().forms
    for op in dict.fromkeys(met.op for met, _ in _met(model)):
        if op in forms:
            yield Hit(severity="note", place=op, message=f"some forms of {op} fail: {', '.join(forms[op])}")


def _met(model: Any) -> list[tuple[Met, int]]:
    """Operators with their dtypes, each at its first place, and at how many it stands."""
    found = list(web_operators().met(model))
    counts = Counter((each.op, each.dtype, each.states) for each in found)
    first = {(each.op, each.dtype, each.states): each for each in reversed(found)}
    return [(first[key], count) for key, count in counts.items()]


def _times(count: int) -> str:
    return f" ({count} places)" if count > 1 else ""


def _graphs(graph: Any) -> Iterator[Any]:
    yield graph
    for node in graph.node:
        for inner in nested(node):
            yield from _graphs(inner)


def _values(node: Any) -> Iterator[Any]:
    return (each for each in node.attribute if node.op_type == "Constant" and each.HasField("t"))


RULES: dict[str, Rule[Any]] = {
    "web-no-kernel": Rule(
        check=no_kernel,
        consequence="the model does not load in a browser, fails when it runs there, or gives other numbers",
        remedy="convert with [targets.web], or compute it from operators that all providers have",
    ),
    "web-unknown-operator": Rule(
        check=unknown_operator,
        consequence="nobody has measured whether a browser runs it",
        remedy="run the model in a browser before it ships, or measure it by benchmarks/web_operators.py",
    ),
    "web-float16-constant": Rule(
        check=float16_constant,
        consequence="the model fails at run where the GPU has no float16 (WebGPU's feature shader-f16)",
        remedy="store it as float32, or convert with [targets.web], which keeps its 16 bits in bytes",
    ),
    "web-young-file": Rule(
        check=young_file,
        consequence="onnxruntime-web refuses the file",
        remedy="export with an older opset_version, or set ir_version to what that opset came with",
    ),
    "web-left-to-cpu": Rule(
        check=left_to_cpu,
        consequence="values travel between the GPU and the CPU at each of them",
        remedy="nothing is wrong; where time matters, compare the wasm provider",
    ),
    "web-failing-form": Rule(
        check=form_that_fails,
        consequence="where it is one of these, WebGPU throws when it runs",
        remedy="run the model on WebGPU before it ships",
    ),
}
