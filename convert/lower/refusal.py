"""Which op a converter failed on, and the user's line that made it, read from its exception."""

from __future__ import annotations

import re

import torch
from torch import fx

from pocketrec.convert.watch.lines import line_in_trace
from pocketrec.errors import Refused

# What coremltools and torch.onnx say of an op that they lack, or fail on.
_PATTERNS = (
    re.compile(r"Unsupported fx node (?P<op>[\w.]+)"),
    re.compile(r"PyTorch convert function for op '(?P<op>[\w.]+)' not implemented"),
    re.compile(r"No ONNX function found for <OpOverload\(op='(?P<op>[\w.]+)'"),
    re.compile(r"translating node %(?P<node>\w+) .*?target=torch\.ops\.(?P<op>[\w.]+)\]"),
)
# A converter's whole message may be the name of a dtype that it does not know.
_DTYPES = {"torch.bfloat16": "bfloat16", "torch.complex64": "complex numbers", "torch.float16": "float16"}
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class NotLowered(Exception):
    """A converter's lowering of one node failed: the op and the node that it was at."""

    def __init__(self, op: str, node: str) -> None:
        super().__init__(f"{op} at {node}")
        self.op, self.node = op, node


def refusal(
    error: Exception, program: torch.export.ExportedProgram, *, converter: str, function: str
) -> Refused:
    """The refusal that names op and line on which `converter` failed; its own words where it names none."""
    text = _ANSI.sub("", "\n".join(str(each) for each in _causes(error)))
    found = next((match for pattern in _PATTERNS if (match := pattern.search(text))), None)
    at = next((each for each in _causes(error) if isinstance(each, NotLowered)), None)
    if found is None:
        op, reason = (at.op, _told(at.__cause__ or at)) if at else (converter, _told(_causes(error)[-1]))
        node = _node(program.graph, at.op, at.node) if at else None
        where = line_in_trace((node.meta.get("stack_trace") or "") if node else "")
        return _refused(op, where, f"function {function}: {reason}")
    op = found["op"].removeprefix("torch.ops.")
    node = _node(program.graph, op, found.groupdict().get("node"))
    where = line_in_trace((node.meta.get("stack_trace") or "") if node else "")
    return _refused(op, where, f"function {function}: {converter} has no lowering for it")


def _refused(op: str, where: str, reason: str) -> Refused:
    remedy = "compute it from other operations in the module"
    return Refused(op=op, where=where, reason=reason, remedy=remedy, elsewhere=True)


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _told(error: BaseException) -> str:
    """The first line of what an error says."""
    lines = [_ANSI.sub("", line).strip() for line in str(error).splitlines()]
    line = next((line for line in lines if line), type(error).__name__)[:300]
    dtype = _DTYPES.get(line.strip("'"))
    return f"the module computes in {dtype}, which the target has not" if dtype else line


def _node(graph: fx.Graph, op: str, name: str | None) -> fx.Node | None:
    by_name = next((node for node in graph.nodes if name is not None and node.name == name), None)
    plain = op.rpartition("::")[2].split(".")
    return by_name or next(
        (node for node in graph.nodes if node.op == "call_function" and _packet(node) in plain), None
    )


def _packet(node: fx.Node) -> str:
    schema = getattr(node.target, "_schema", None)
    return str(schema.name).rpartition("::")[2] if schema is not None else ""
