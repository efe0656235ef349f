"""Origins of an exported program's nodes, and the values that the nodes have for given inputs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.export.graph_signature import InputKind

from pocketrec.origin import Origin

_FRAME = re.compile(r'File "([^"]+)", line (\d+), in [^\n]*\n?([^\n]*)')
# Frames of these tell nothing about the user's model.
_FOREIGN = (Path(torch.__file__).parent, Path(__file__).parent.resolve())


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
    source, _ = source_line(node)
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


def source_line(node: torch.fx.Node) -> tuple[str, str]:
    """`file.py:line` of the innermost line of the user's that led to the op, and its text.

    Both are empty where there is none. torch keeps only frames of `forward` in its traces.
    """
    frames: Sequence[tuple[str, str, str]] = _FRAME.findall(node.meta.get("stack_trace") or "")
    for name, line, text in reversed(frames):
        path = Path(name)
        if path.is_absolute() and not any(path.resolve().is_relative_to(each) for each in _FOREIGN):
            return f"{path.name}:{line}", text.strip()
    return "", ""


def source_texts(program: torch.export.ExportedProgram) -> dict[str, str]:
    """The text of every source line that led to an op, by `file.py:line`."""
    lines = dict(source_line(node) for node in program.graph.nodes if node.op == "call_function")
    return {place: text for place, text in lines.items() if place}


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
    given, arguments = iter(inputs), []
    for spec in program.graph_signature.input_specs:
        if spec.kind == InputKind.USER_INPUT:
            arguments.append(next(given))
        else:
            stored = program.constants if spec.target in program.constants else program.state_dict
            arguments.append(stored[spec.target])
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
