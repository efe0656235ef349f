"""What a captured graph leaves to one call, said once: which axes a squeeze removes, what memory holds."""

from __future__ import annotations

import torch
from torch import fx
from torch.export.graph_signature import OutputKind
from torch.fx.experimental.symbolic_shapes import statically_known_true

aten = torch.ops.aten
_EMPTY = {
    aten.empty.memory_format: aten.zeros.default,
    aten.empty_like.default: aten.zeros_like.default,
    aten.new_empty.default: aten.new_zeros.default,
}
_ALIASES = frozenset(
    {torch.ops.prims.view_of.default, aten.alias.default, aten.detach.default, aten.lift_fresh_copy.default}
)


def fill_empty(program: torch.export.ExportedProgram) -> None:
    """Fills fresh memory with zeros, where a target would give it a dtype of its own."""
    for node in program.graph.nodes:
        if node.target in _EMPTY:
            node.target = _EMPTY[node.target]
            node.kwargs = {name: value for name, value in node.kwargs.items() if name != "memory_format"}
    program.graph_module.recompile()


def reshape_for_views(module: fx.GraphModule) -> None:
    """Makes a reshape of every view, which only some layouts in memory allow.

    Lowered, an op may give the same numbers in another layout: attention as products does.
    """
    for node in module.graph.find_nodes(op="call_function", target=aten.view.default):
        node.target = aten.reshape.default
    module.recompile()


def squeeze_known_axes(program: torch.export.ExportedProgram) -> None:
    """Names in every squeeze of all axes those whose size is 1 by shape, not by chance.

    `x.squeeze()` was captured for a free batch, which it keeps; run as it stands it would remove the
    batch axis of a batch of one.
    """
    for node in list(program.graph.nodes):
        if node.target is aten.squeeze.default:
            axes = [
                axis for axis, size in enumerate(_shape(node.args[0])) if isinstance(size, int) and size == 1
            ]
            node.target, node.args = aten.squeeze.dims, (node.args[0], axes)
            if not axes:
                _drop(program, node)
        elif node.target is aten.squeeze.dim and not _is_known(node.args[0], int(node.args[1])):
            _drop(program, node)
    program.graph_module.recompile()


def keep_expanded_axes(program: torch.export.ExportedProgram) -> None:
    """Names in every expand the sizes of the axes that it repeats, and leaves the others as they are.

    A target that does not know a free size could not tell which of them it has to repeat.
    """
    for node in program.graph.find_nodes(op="call_function", target=aten.expand.default):
        source, sizes, *rest = node.args
        before, after = _shape(source), _shape(node)
        added = len(after) - len(before)
        kept = [
            axis
            for axis in range(added, len(after))
            if statically_known_true(before[axis - added] == after[axis])
        ]
        if len(kept) == len(after):
            _drop(program, node)
        else:
            node.args = (source, [-1 if axis in kept else each for axis, each in enumerate(sizes)], *rest)
    program.graph_module.recompile()


def drop_aliases(program: torch.export.ExportedProgram) -> None:
    """Takes out ops that only give their argument another name."""
    for node in list(program.graph.nodes):
        if node.target in _ALIASES:
            _drop(program, node)
    program.graph_module.recompile()


def drop_parameter_writes(program: torch.export.ExportedProgram) -> None:
    """Lets the program give what the user's code gives, without new values of parameters.

    A forward that normalizes its table in every call writes the same numbers again; one whose answers
    depend on what it wrote has been refused before.
    """
    signature = program.graph_signature
    kept = [
        number
        for number, spec in enumerate(signature.output_specs)
        if spec.kind is not OutputKind.PARAMETER_MUTATION
    ]
    if len(kept) == len(signature.output_specs):
        return
    output = program.graph.output_node()
    (values,) = output.args
    assert isinstance(values, tuple | list)
    output.args = (tuple(values[number] for number in kept),)
    signature.output_specs = [signature.output_specs[number] for number in kept]
    program.graph.eliminate_dead_code()
    program.graph_module.recompile()


def _drop(program: torch.export.ExportedProgram, node: fx.Node) -> None:
    """Puts the node's argument in its place, also where the program names its outputs."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    node.replace_all_uses_with(source)
    for spec in program.graph_signature.output_specs:
        if spec.arg.name == node.name:
            spec.arg.name = source.name
    node.graph.erase_node(node)


def _shape(node: fx.node.Argument) -> torch.Size:
    assert isinstance(node, fx.Node)
    shape: torch.Size = node.meta["val"].shape
    return shape


def _is_known(node: fx.node.Argument, axis: int) -> bool:
    shape = _shape(node)
    return not shape or isinstance(shape[axis], int)
