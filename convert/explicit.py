"""What a captured graph leaves to the sizes of one call, said once: which axes a squeeze removes."""

from __future__ import annotations

import torch
from torch import fx

aten = torch.ops.aten


def squeeze_known_axes(program: torch.export.ExportedProgram) -> None:
    """Nothing; every squeeze of all axes names those whose size is 1 by shape, not by chance.

    `x.squeeze()` was captured for a free batch, which it keeps; run as it stands it would remove the
    batch axis of a batch of one.
    """
    for node in program.graph.nodes:
        if node.target is aten.squeeze.default:
            axes = [axis for axis, size in enumerate(_shape(node.args[0])) if isinstance(size, int) and size == 1]
            node.target = aten.squeeze.dims if axes else aten.alias.default
            node.args = (node.args[0], axes) if axes else (node.args[0],)
        elif node.target is aten.squeeze.dim and not _is_known(node.args[0], int(node.args[1])):
            node.target = aten.alias.default
            node.args = (node.args[0],)
    program.graph_module.recompile()


def _shape(node: fx.node.Argument) -> torch.Size:
    assert isinstance(node, fx.Node)
    shape: torch.Size = node.meta["val"].shape
    return shape


def _is_known(node: fx.node.Argument, axis: int) -> bool:
    shape = _shape(node)
    return not shape or isinstance(shape[axis], int)
