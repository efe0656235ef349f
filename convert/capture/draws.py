"""Random draws that no output can feel: noise times 0, as in `self.training * noise` in eval mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

aten = torch.ops.aten
_ANY = 0.5  # what stands for a number that is drawn: not at the edge of a logarithm
_ERASING = frozenset({aten.mul.Tensor, aten.mul.Scalar, aten.mul_.Tensor, aten.mul_.Scalar})
_LIKE = frozenset({aten.rand_like.default, aten.randn_like.default, aten.bernoulli.default})
_SIZED = frozenset({aten.rand.default, aten.randn.default})
_FRESH: dict[Any, Any] = {
    aten.empty_like.default: aten.full_like.default,
    aten.empty.memory_format: aten.full.default,
}


def drop_dead_draws(module: fx.GraphModule) -> bool:
    """True where draws were replaced whose every way to an output is multiplied by 0.

    A draw that an output depends on stays, whatever the numbers turn out to be.
    """
    draws = [node for node in module.graph.nodes if _draws(node)]
    dead = [node for node in draws if _is_dead(node, module)]
    changed = [each for each in dead if _replace(each)]
    module.graph.eliminate_dead_code()
    module.recompile()
    return bool(changed)


def _draws(node: fx.Node) -> bool:
    return node.op == "call_function" and torch.Tag.nondeterministic_seeded in getattr(
        node.target, "tags", ()
    )


def _writes(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and schema.is_mutable


def _is_dead(draw: fx.Node, module: fx.GraphModule) -> bool:
    seen: set[fx.Node] = set()
    waiting = [draw]
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.op == "output" or (node is not draw and node.op != "call_function"):
            return False
        if node is not draw and _erases(node, module):
            continue
        waiting.extend(node.users)
        if _writes(node):  # what is written to is noise now, wherever it is read
            waiting.extend(each for each in node.args[:1] if isinstance(each, fx.Node))
    return True


def _erases(node: fx.Node, module: fx.GraphModule) -> bool:
    """True for a product one side of which is 0."""
    return node.target in _ERASING and any(_is_zero(each, module) for each in node.args[:2])


def _is_zero(value: Any, module: fx.GraphModule) -> bool:
    if isinstance(value, fx.Node):
        held = getattr(module, str(value.target), None) if value.op == "get_attr" else None
        return isinstance(held, Tensor) and not held.any()
    return isinstance(value, int | float) and value == 0


def _replace(draw: fx.Node) -> bool:
    """True where a plain number stands in the place of what is drawn."""
    graph = draw.graph
    given: Any = draw.target
    if _writes(draw):
        memory = draw.args[0]
        if not isinstance(memory, fx.Node) or memory.target not in _FRESH:
            return False
        _fill(memory, _FRESH[memory.target])
        draw.replace_all_uses_with(memory)
        graph.erase_node(draw)
        return True
    if given in _LIKE:
        draw.args = draw.args[:1]
        draw.kwargs = {key: each for key, each in draw.kwargs.items() if key == "dtype"}
        _fill(draw, aten.full_like.default)
    elif given in _SIZED:
        _fill(draw, aten.full.default)
    else:
        return False
    return True


def _fill(node: fx.Node, target: Callable[..., Any]) -> None:
    node.target = target
    node.args = (node.args[0], _ANY)
    node.kwargs = {
        key: each for key, each in node.kwargs.items() if key not in ("memory_format", "generator")
    }
