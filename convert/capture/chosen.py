"""Reductions over the elements that a mask chooses, `x[x > 0].mean()`, as reductions over all of them.

How many are chosen depends on values; what comes out of the reduction has a shape that does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

aten = torch.ops.aten
_SIZES = frozenset({aten.sym_size.int, aten.sym_numel.default})


def reduce_chosen(module: fx.GraphModule) -> bool:
    """True where a choice by a mask was replaced, all of whose results are reduced."""
    changed = [node for node in [*module.graph.nodes] if _is_chosen(node) and _reduce(module.graph, node)]
    module.graph.eliminate_dead_code()
    module.recompile()
    return bool(changed)


def _is_chosen(node: fx.Node) -> bool:
    return node.op == "call_function" and _choice(node) is not None


def _choice(node: fx.Node) -> tuple[fx.Node, fx.Node] | None:
    """The tensor, and the one mask that chooses among its elements or rows."""
    if node.target is aten.masked_select.default:
        tensor, mask = node.args
    elif (
        node.target is aten.index.Tensor and isinstance(node.args[1], list | tuple) and len(node.args[1]) == 1
    ):
        tensor, mask = node.args[0], node.args[1][0]
    else:
        return None
    if not isinstance(tensor, fx.Node) or not isinstance(mask, fx.Node):
        return None
    value: Any = mask.meta.get("val")
    return (tensor, mask) if isinstance(value, Tensor) and value.dtype == torch.bool else None


def _reduce(graph: fx.Graph, node: fx.Node) -> bool:
    users = [each for each in node.users if each.target not in _SIZES]
    sizes = [each for each in node.users if each.target in _SIZES]
    reduced = [each.target in _REDUCTIONS and len(each.args) == 1 and not each.kwargs for each in users]
    if not users or not all(reduced) or not all(_only_checked(each) for each in sizes):
        return False
    choice = _choice(node)
    assert choice is not None
    tensor, mask = choice
    for user in users:
        with graph.inserting_before(user):
            wide = _widened(graph, tensor, mask, node)
            result = _REDUCTIONS[user.target](graph, tensor, wide)
        result.meta = {key: user.meta[key] for key in ("stack_trace",) if key in user.meta}
        user.replace_all_uses_with(result)
        graph.erase_node(user)
    for each in sizes:
        _erase(graph, each)
    return True


def _widened(graph: fx.Graph, tensor: fx.Node, mask: fx.Node, node: fx.Node) -> fx.Node:
    """The mask, with the tensor's further axes where it chooses rows."""
    missing = tensor.meta["val"].ndim - mask.meta["val"].ndim
    if node.target is aten.index.Tensor:
        for _ in range(missing):
            mask = graph.call_function(aten.unsqueeze.default, (mask, -1))
    return mask


def _only_checked(node: fx.Node) -> bool:
    """True where a size is used by assertions only."""
    if not node.users:
        return True
    checks = ("assert", "constrain")
    return all(any(c in str(each.target) for c in checks) or _only_checked(each) for each in node.users)


def _erase(graph: fx.Graph, node: fx.Node) -> None:
    for each in [*node.users]:
        _erase(graph, each)
    graph.erase_node(node)


def _sum(graph: fx.Graph, tensor: fx.Node, mask: fx.Node) -> fx.Node:
    kept = graph.call_function(aten.where.ScalarOther, (mask, tensor, 0))
    return graph.call_function(aten.sum.default, (kept,))


def _mean(graph: fx.Graph, tensor: fx.Node, mask: fx.Node) -> fx.Node:
    count = _sum(graph, graph.call_function(aten.ones_like.default, (tensor,)), mask)
    return graph.call_function(aten.div.Tensor, (_sum(graph, tensor, mask), count))


_REDUCTIONS: dict[Any, Callable[[fx.Graph, fx.Node, fx.Node], fx.Node]] = {
    aten.sum.default: _sum,
    aten.mean.default: _mean,
}
