"""What onnxruntime-web runs: a table that benchmarks/web_operators.py measured, and what it says of a model.

The table has, for every operator, type variable and dtype, a status in each column (a build, a provider):

    ok      the numbers of native ONNX Runtime
    cpu     so too, but not by the GPU: a WebGPU session without a kernel leaves the operator to the CPU
    none    no kernel, so the model does not load
    fails   loads, and throws when it runs
    wrong   other numbers
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

LARGEST_OPSET, LARGEST_IR = 26, 13  # that onnxruntime-web loads
_RUNS = frozenset({"ok", "cpu"})
_SAID = {"none": "no kernel for", "fails": "fails at run on", "wrong": "gives wrong numbers for"}
_NAMES = {"FLOAT": "float32", "DOUBLE": "float64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebOperators:
    """The table.

    Attributes:
        version: of onnxruntime-web.
        measured: that version, the browser's and the GPU's name, to be shown.
        columns: build and provider of each status.
        operators: operator (with its domain where that is not ONNX's), type variable, dtype to statuses.
        forms: operator to ONNX's tests of it that do not run everywhere, and their statuses.
    """

    version: str
    measured: str
    columns: tuple[str, ...]
    operators: Mapping[str, Mapping[str, Mapping[str, tuple[str, ...]]]]
    forms: Mapping[str, Mapping[str, str]]

    def runs(self, op: str) -> bool:
        """Whether every column runs the operator, of one dtype at least."""
        found = self.operators.get(op, {}).values()
        return bool(found) and all(any(_RUNS.issuperset(each) for each in one.values()) for one in found)

    def met(self, model: Any) -> Iterator[Met]:
        """Every operator of a ModelProto, once for each dtype that it has there, in the nodes' order.

        What is computed when the file is loaded counts too: a kernel has to be there for it.
        """
        typed = _typed(model)
        opsets = {each.domain: each.version for each in typed.opset_import}
        yield from self._met_in(typed.graph, opsets, {})

    def _met_in(self, graph: Any, opsets: Mapping[str, int], outer: Mapping[str, str]) -> Iterator[Met]:
        dtypes = {**outer, **_dtypes(graph)}
        for node in graph.node:
            op = f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
            if op == "Constant":
                continue
            known = self.operators.get(op)
            name = node.name or next(iter(node.output), op)
            if known is None:
                yield Met(op=op, name=name, outputs=tuple(node.output))
            for variable, dtype in _variables(node, opsets, dtypes) if known else ():
                if variable in (known or {}):
                    states = (known or {})[variable].get(dtype, ())
                    yield Met(op=op, name=name, outputs=tuple(node.output), dtype=dtype, states=states)
            for inner in nested(node):
                yield from self._met_in(inner, opsets, dtypes)

    def said(self, met: Met) -> str:
        """What keeps an operator from running, in words; empty where every column runs it."""
        what = f"{met.op} of {met.dtype}" if met.dtype else met.op
        if not met.states:
            return f"{what} is not in the table of operators of onnxruntime-web {self.version}"
        found: dict[str, list[str]] = {}
        for column, state in zip(self.columns, met.states, strict=True):
            if state not in _RUNS:
                found.setdefault(state, []).append(column)
        parts = [f"{_SAID[state]} {what} in {' and '.join(places)}" for state, places in found.items()]
        return f"onnxruntime-web {self.version}: {'; '.join(parts)}" if parts else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """An operator where it stands in a model.

    Attributes:
        op: its name, with the domain in front where it is not ONNX's.
        name: of the node.
        outputs: of the node.
        dtype: of one of its type variables; empty where the table does not know the operator.
        states: in the columns of the table; empty where the table does not know operator or dtype.
    """

    op: str
    name: str
    outputs: tuple[str, ...]
    dtype: str = ""
    states: tuple[str, ...] = ()


@cache
def web_operators() -> WebOperators:
    """The table that comes with the package."""
    table = json.loads(Path(__file__).with_name("web_operators.json").read_text(encoding="utf-8"))
    operators = {
        op: {
            variable: {
                dtype: tuple(states.split()) for states, dtypes in each.items() for dtype in dtypes.split()
            }
            for variable, each in variables.items()
        }
        for op, variables in table["operators"].items()
    }
    version = table["onnxruntime-web"]
    return WebOperators(
        version=version,
        measured=f"onnxruntime-web {version}, Chromium {table['chromium']}, WebGPU by {table['adapter']}",
        columns=tuple(table["columns"]),
        operators=operators,
        forms=table.get("forms", {}),
    )


def _typed(model: Any) -> Any:
    """The model with local functions inlined and types inferred, as far as they can be."""
    from onnx import inliner, shape_inference

    try:
        whole = inliner.inline_local_functions(model) if model.functions else model
        return shape_inference.infer_shapes(whole)
    except (shape_inference.InferenceError, ValueError, RuntimeError):
        return model


def _dtypes(graph: Any) -> dict[str, str]:
    """Values of a graph to their dtypes, where these are known."""
    described = (*graph.input, *graph.value_info, *graph.output)
    numbers = {each.name: each.type.tensor_type.elem_type for each in described}
    numbers |= {each.name: each.data_type for each in graph.initializer}
    return {name: dtype_name(each) for name, each in numbers.items() if each}


def dtype_name(number: int) -> str:
    """NumPy's name for one of ONNX's dtypes; ONNX's own where NumPy has none."""
    from onnx import TensorProto

    name = str(TensorProto.DataType.Name(number))
    return _NAMES.get(name, name.lower())


def _variables(node: Any, opsets: Mapping[str, int], dtypes: Mapping[str, str]) -> list[tuple[str, str]]:
    """The node's type variables with their dtypes, each once; those whose dtype is known."""
    from onnx import defs

    domain = "" if node.domain == "ai.onnx" else node.domain
    try:
        schema = defs.get_schema(node.op_type, opsets.get(domain, 1), domain)
    except defs.SchemaError:  # an operator of ONNX Runtime's own: what it makes is what it computes in
        return [("T", "float32")]
    found: dict[tuple[str, str], None] = {}
    for names, formal in ((node.input, schema.inputs), (node.output, schema.outputs)):
        for place, name in enumerate(names):
            if name in dtypes and formal:
                found[formal[min(place, len(formal) - 1)].type_str, dtypes[name]] = None
    return list(found)


def nested(node: Any) -> Iterator[Any]:
    """The graphs inside of a node."""
    for each in node.attribute:
        if each.HasField("g"):
            yield each.g
        yield from each.graphs
