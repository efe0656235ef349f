"""Constants of a captured graph computed once: what no input changes need not be computed on the device.

A graph recommender propagates its embeddings over a fixed graph; only the result must ship. Views
of a table are left to the lowerings, which share the table's bytes, and so is what would store a
large table a second time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, fx

_VIEWS = frozenset(
    [
        "view",
        "reshape",
        "t",
        "transpose",
        "permute",
        "unsqueeze",
        "squeeze",
        "expand",
        "slice",
        "select",
        "clone",
        "alias",
        "detach",
        "detach_",
        "contiguous",
        "lift_fresh_copy",
        "split",
        "split_with_sizes",
        "unbind",
        "getitem",
        "to",
        "numpy_T",
        "flatten",
    ]
)
# Constants that a lowering writes down itself.
_FILLS = frozenset(["arange", "full", "zeros", "ones", "empty", "scalar_tensor", "eye", "linspace"])
_PRODUCTS = frozenset(["mm", "matmul", "addmm", "bmm", "linear", "einsum", "baddbmm"])
_LARGEST_COPY = 1 << 14  # elements that may be stored beside their source


def fold_constants(graph_module: fx.GraphModule) -> bool:
    """True where computations on constants were replaced, in place, by buffers with their values."""
    graph = graph_module.graph
    changed = _index_by_repeats(graph_module) | _drop_idle_fills(graph_module)
    changed = _read_numbers(graph_module) or changed
    constant = _constant_nodes(graph)
    roots = [node for node in graph.nodes if node in constant and _is_worth(node, constant, graph_module)]
    if not roots:
        return changed
    values = _Evaluate(graph_module, constant)
    for number, node in enumerate(roots):
        name = f"folded_{number}"
        graph_module.register_buffer(name, values.of(node))
        with graph.inserting_before(node):
            attribute = graph.get_attr(name)
        attribute.meta = {key: node.meta[key] for key in ("val", "stack_trace") if key in node.meta}
        node.replace_all_uses_with(attribute)
    graph.eliminate_dead_code()
    graph_module.delete_all_unused_submodules()
    graph_module.recompile()
    return True


def _index_by_repeats(graph_module: fx.GraphModule) -> bool:
    """True where `repeat_interleave` by constant counts was replaced by a lookup of known size."""
    aten = torch.ops.aten
    graph = graph_module.graph
    constant = _constant_nodes(graph)
    values = _Evaluate(graph_module, constant)
    found = graph.find_nodes(op="call_function", target=aten.repeat_interleave.self_Tensor)
    chosen = [node for node in found if node.args[1] in constant]
    for number, node in enumerate(chosen):
        source, repeats, *rest = node.args
        name = f"repeated_{number}"
        graph_module.register_buffer(name, torch.repeat_interleave(values.of(repeats)))
        with graph.inserting_before(node):
            index = graph.get_attr(name)
            axis = rest[0] if rest and rest[0] is not None else node.kwargs.get("dim")
            if axis is None:
                source, axis = graph.call_function(aten.reshape.default, (source, [-1])), 0
            lookup = graph.call_function(aten.index_select.default, (source, axis, index))
        lookup.meta = {key: node.meta[key] for key in ("stack_trace",) if key in node.meta}
        node.replace_all_uses_with(lookup)
    graph.eliminate_dead_code()
    graph_module.recompile()
    return bool(chosen)


def _drop_idle_fills(graph_module: fx.GraphModule) -> bool:
    """True where a fill was dropped whose mask is constant and chooses nothing."""
    graph = graph_module.graph
    constant = _constant_nodes(graph)
    values = _Evaluate(graph_module, constant)
    found = graph.find_nodes(op="call_function", target=torch.ops.aten.masked_fill.Scalar)
    idle = [
        node
        for node in found
        if node.args[1] in constant
        and _shape_of(node) == _shape_of(node.args[0])
        and not values.of(node.args[1]).any()
    ]
    for node in idle:
        node.replace_all_uses_with(node.args[0])
    graph.eliminate_dead_code()
    graph_module.recompile()
    return bool(idle)


def _read_numbers(graph_module: fx.GraphModule) -> bool:
    """True where a number that a constant tensor holds was read from it."""
    graph = graph_module.graph
    constant = _constant_nodes(graph)
    values = _Evaluate(graph_module, constant)
    found = graph.find_nodes(op="call_function", target=torch.ops.aten.item.default)
    known = [node for node in found if node.args[0] in constant]
    for node in known:
        node.replace_all_uses_with(values.of(node.args[0]).item())
    graph.eliminate_dead_code()
    graph_module.recompile()
    return bool(known)


def _shape_of(node: fx.node.Argument) -> torch.Size | None:
    value = node.meta.get("val") if isinstance(node, fx.Node) else None
    return value.shape if isinstance(value, Tensor) else None


def _constant_nodes(graph: fx.Graph) -> set[fx.Node]:
    found: set[fx.Node] = set()
    written = _written_nodes(graph)
    for node in graph.nodes:
        if node in written:
            continue
        if node.op == "get_attr" or (
            node.op == "call_function"
            and all(each in found for each in node.all_input_nodes)
            and not _is_impure(node)
        ):
            found.add(node)
    return found


def _written_nodes(graph: fx.Graph) -> set[fx.Node]:
    """What is written to in place, and what that is a view of: their values depend on when they are read."""
    found: set[fx.Node] = set()
    for node in graph.nodes:
        each = node.args[0] if _writes(node) and node.args else None
        while isinstance(each, fx.Node) and each not in found:
            found.add(each)
            is_view = each.op == "call_function" and _op_name(each) in _VIEWS and each.args
            each = each.args[0] if is_view else None
    return found


def _is_impure(node: fx.Node) -> bool:
    return _writes(node) or "assert" in str(node.target)


def _writes(node: fx.Node) -> bool:
    """True where the op changes numbers of its argument; `detach_` only says that it has no gradient."""
    schema = getattr(node.target, "_schema", None)
    return schema is not None and schema.is_mutable and node.target is not torch.ops.aten.detach_.default


def _is_worth(node: fx.Node, constant: set[fx.Node], module: fx.GraphModule) -> bool:
    """True for a tensor that the rest of the graph uses, that is computed, and that is worth its bytes."""
    value = node.meta.get("val")
    if node.op == "get_attr" or not isinstance(value, Tensor) or value.is_complex():
        return False
    if all(user in constant for user in node.users):
        return False
    nodes = _closure(node)
    names = {_op_name(each) for each in nodes if each.op == "call_function"}
    sources = [each for each in nodes if each.op == "get_attr"]
    if not names - _VIEWS - (frozenset() if sources else _FILLS):
        return False
    if not all(isinstance(size, int) for size in value.shape):
        return True  # the shape follows constant values, such as repeats
    if names & _PRODUCTS or value.numel() <= _LARGEST_COPY:
        return True
    freed = sum(_numel(module, each) for each in sources if all(user in constant for user in each.users))
    return value.numel() <= freed


def _closure(node: fx.Node) -> set[fx.Node]:
    found: set[fx.Node] = set()
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting.extend(each.all_input_nodes)
    return found


def _op_name(node: fx.Node) -> str:
    packet = getattr(node.target, "overloadpacket", None)
    return str(getattr(packet or node.target, "__name__", node.target))


def _numel(module: fx.GraphModule, node: fx.Node) -> int:
    value = _attribute(module, str(node.target))
    return value.numel() if isinstance(value, Tensor) else 0


def _attribute(module: torch.nn.Module, path: str) -> Any:
    value: Any = module
    for part in path.split("."):
        value = getattr(value, part)
    return value


class _Evaluate:
    """Values of constant nodes, each computed once."""

    def __init__(self, module: fx.GraphModule, constant: Iterable[fx.Node]) -> None:
        self._interpreter = fx.Interpreter(module, garbage_collect_values=False)
        self._constant = set(constant)

    def of(self, node: fx.Node) -> Tensor:
        needed = _closure(node)
        environment = self._interpreter.env
        with torch.no_grad():
            for each in node.graph.nodes:
                if each in needed and each not in environment:
                    environment[each] = self._interpreter.run_node(each)
        value: Tensor = environment[node]
        return value.detach().clone()
