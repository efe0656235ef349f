"""Names of a graph's nodes kept apart from the words that its ops are given, which coremltools mixes up.

It looks a word such as `tanh` in `gelu(x, approximate="tanh")` up among the names of the nodes before, and
takes the tensor that a node of that name made for the option.
"""

from __future__ import annotations

import copy

import torch
from torch.utils._pytree import tree_leaves

from pocketrec.convert.lower.copies import with_own_graph


def with_names_beside_words(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """The program with no node of the name of a word; the same one where it has none."""
    words = _words(program)
    if not any(node.name in words for node in program.graph.nodes):
        return program
    changed = with_own_graph(program)
    changed._graph_signature = copy.deepcopy(program.graph_signature)
    names = {}
    for node in changed.graph.nodes:
        if node.name in words:
            before = node.name
            node._rename(f"{before}_made")
            names[before] = node.name
    for spec in (*changed.graph_signature.input_specs, *changed.graph_signature.output_specs):
        named = getattr(spec.arg, "name", None)
        if named in names:
            spec.arg.name = names[named]
    changed.graph_module.recompile()
    return changed


def _words(program: torch.export.ExportedProgram) -> set[str]:
    given = ((node.args, node.kwargs) for node in program.graph.nodes if node.op == "call_function")
    return {leaf for each in given for leaf in tree_leaves(each) if isinstance(leaf, str)}
