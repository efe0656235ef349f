"""Origins of an exported program's nodes, and the values that the nodes have for given inputs."""

from __future__ import annotations

import linecache
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.export.graph_signature import InputKind

from pocketrec.convert.watch.lines import is_users, line_in_trace
from pocketrec.origin import Origin


def node_origins(program: torch.export.ExportedProgram) -> dict[str, Origin]:
    """The origin of every op of the program, by the name of its graph node."""
    found = {node.name: _identity(node) for node in program.graph.nodes if node.op == "call_function"}
    counts, seen = Counter(found.values()), Counter[tuple[str, str, str]]()
    origins = {}
    for name, each in found.items():
        seen[each] += 1
        module, source, op = each
        origins[name] = Origin(module=module, source=source, op=op, ordinal=seen[each], count=counts[each])
    return origins


def _identity(node: torch.fx.Node) -> tuple[str, str, str]:
    # The file's name alone: an artifact must not tell where it was built.
    source = Path(line_in_trace(node.meta.get("stack_trace") or "")).name
    return module_path(node), source, _op_name(node)


def _op_name(node: torch.fx.Node) -> str:
    if isinstance(node.target, torch._ops.OpOverload):
        return str(node.target.overloadpacket.__name__)
    return f"operator.{getattr(node.target, '__name__', node.target)}"  # of sizes, or of a tuple


def module_path(node: torch.fx.Node) -> str:
    """The innermost module that called the op, such as `blocks.0.attention`; empty for the model itself."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path = str(stack[-1][0]) if stack else ""
    # The model is the child `module` of the contract's wrapper.
    return path.removeprefix("module").removeprefix(".") if path.partition(".")[0] == "module" else ""


def source_texts(program: torch.export.ExportedProgram) -> dict[str, str]:
    """The text of every source line that led to an op, by `file.py:line`, where the file is there."""
    places = {line_in_trace(node.meta.get("stack_trace") or "") for node in program.graph.nodes}
    return {Path(place).name: _text(place) for place in sorted(places) if place}


def _text(place: str) -> str:
    name, _, line = place.rpartition(":")
    return linecache.getline(name, int(line)).strip()


@contextmanager
def lines_of(module: torch.nn.Module) -> Iterator[None]:
    """Lets captures keep the lines of all methods of the module, not of `forward` alone.

    Through a name that torch does not promise to keep: without it lines are those of `forward`.
    """
    anchors: set[tuple[str, str]] = getattr(torch.fx.proxy, "_STACK_TRACE_ANCHORS", set())
    methods = {
        (each.__code__.co_filename, each.__code__.co_name)
        for child in module.modules()
        for kind in type(child).__mro__
        for each in vars(kind).values()
        if isinstance(each, FunctionType) and is_users(each.__code__.co_filename)
    }
    added = methods - anchors
    anchors |= added
    try:
        yield
    finally:
        anchors -= added


def node_values(
    program: torch.export.ExportedProgram, inputs: Sequence[torch.Tensor]
) -> dict[str, npt.NDArray[np.generic]]:
    """The value of every node that is a tensor, by the node's name; of a tuple, the first.

    Args:
        program: as captured.
        inputs: the user's inputs, in order.
    """
    recorder = _Recorder(program.graph_module)
    with torch.no_grad():
        recorder.run(*_arguments(program, inputs))
    return recorder.values


def output_names(program: torch.export.ExportedProgram) -> tuple[str, ...]:
    """The nodes that give the program's outputs, in order."""
    return tuple(str(each) for each in program.graph_signature.user_outputs)


def _arguments(program: torch.export.ExportedProgram, inputs: Sequence[torch.Tensor]) -> list[Any]:
    given, arguments = iter(inputs), list[Any]()
    for spec in program.graph_signature.input_specs:
        if spec.kind == InputKind.USER_INPUT:
            arguments.append(next(given))
        else:
            name = str(spec.target)
            stored = program.constants if name in program.constants else program.state_dict
            arguments.append(stored[name])
    return arguments


class _Recorder(torch.fx.Interpreter):
    """Runs a graph and keeps every tensor that its nodes give."""

    def __init__(self, module: torch.fx.GraphModule) -> None:
        super().__init__(module)
        self.values: dict[str, npt.NDArray[np.generic]] = {}

    def run_node(self, n: torch.fx.Node) -> Any:
        """The node's value, as ever."""
        value = super().run_node(n)
        first = value[0] if isinstance(value, tuple) and value else value
        if n.op == "call_function" and isinstance(first, torch.Tensor):
            self.values[n.name] = first.detach().numpy()
        return value
