"""Inputs without axes, which Core ML has not: one axis of size 1 that the program itself takes away."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn

from pocketrec.convert.lower.copies import with_own_graph


def with_one_axis(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """The program whose inputs all have an axis; the same one where they have."""
    names = set(program.graph_signature.user_inputs)
    if not _scalars(program, names):
        return program
    changed = with_own_graph(program)
    for node in _scalars(changed, names):
        _box(changed.graph, node)
    changed.graph_module.recompile()
    return changed


def _scalars(program: torch.export.ExportedProgram, names: Collection[object]) -> list[torch.fx.Node]:
    found = program.graph.find_nodes(op="placeholder")
    return [each for each in found if each.name in names and each.meta["val"].ndim == 0]


def _box(graph: torch.fx.Graph, node: torch.fx.Node) -> None:
    """The placeholder with one axis, and what reads it after a squeeze."""
    scalar = node.meta["val"]
    with graph.inserting_after(node):
        plain = graph.call_function(torch.ops.aten.squeeze.dims, (node, [0]))
    node.replace_all_uses_with(plain, delete_user_cb=lambda user: user is not plain)
    plain.meta = {**node.meta, "val": scalar}
    node.meta = {**node.meta, "val": scalar.unsqueeze(0)}


class OneAxis(nn.Module):
    """The module called with one axis on what has none, for a trace.

    Args:
        module: called with tensors by place.
        example: what it is called with.
    """

    def __init__(self, module: nn.Module, example: Sequence[Tensor]) -> None:
        super().__init__()
        self.module = module
        self._scalars = [each.ndim == 0 for each in example]

    def forward(self, *inputs: Tensor) -> object:
        """What the module gives."""
        pairs = zip(inputs, self._scalars, strict=True)
        return self.module(*(each.squeeze(0) if scalar else each for each, scalar in pairs))
