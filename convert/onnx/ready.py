"""A capture as the ONNX exporter lowers it, without another trace of it.

The exporter traces every program anew to decompose what it has no lowering of, which takes as long as
all else that it does. A capture is in the core ATen dialect already, of which little is left to say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch import fx

from pocketrec.convert.lower.copies import with_own_graph

aten = torch.ops.aten


def ready(
    program: torch.export.ExportedProgram, decomposed: Collection[Any]
) -> torch.export.ExportedProgram | None:
    """A copy of the program of which nothing is decomposed; None where it holds more of `decomposed`."""
    taken = with_own_graph(program)
    for graph in _graphs(taken.graph_module):
        if aten.squeeze.dims in decomposed:
            _squeeze_one_by_one(graph)
        if any(node.target in decomposed for node in graph.nodes):
            return None
    taken.graph_module.recompile()
    return taken


def _graphs(module: fx.GraphModule) -> Iterator[fx.Graph]:
    """The graph and those in it, such as a loop's."""
    for each in module.modules():
        if isinstance(each, fx.GraphModule):
            yield each.graph


def _squeeze_one_by_one(graph: fx.Graph) -> None:
    """Squeezes of several axes as squeezes of one axis each, the last axis first."""
    for node in graph.find_nodes(op="call_function", target=aten.squeeze.dims):
        value: Any = node.args[0]
        rank = value.meta["val"].ndim
        first, *others = sorted({int(each) % rank for each in node.args[1]})
        for axis in reversed(others):
            with graph.inserting_before(node):
                squeezed = graph.call_function(aten.squeeze.dim, (value, axis))
            squeezed.meta = {**node.meta, "val": value.meta["val"].squeeze(axis)}
            value = squeezed
        node.target, node.args = aten.squeeze.dim, (value, first)  # keeps its name, which may be an output's
