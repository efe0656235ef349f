"""Origins of a Core ML program's tensors, which coremltools knows until it saves the program."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from pocketrec.convert.capture.origins import node_origins, output_names
from pocketrec.origin import Origin

# What the float16 pass appends to the name of a tensor.
_PRECISION = re.compile(r"(_cast_fp16|_to_fp16|_to_fp32)+\Z")


def number_nodes(program: torch.export.ExportedProgram) -> None:
    """Gives every node of the graph its place as its debug handle, as coremltools takes it."""
    for place, node in enumerate(program.graph.nodes):
        node.meta["debug_handle"] = place


def program_origins(
    mil: Any, program: torch.export.ExportedProgram, outputs: Sequence[str]
) -> dict[str, Origin]:
    """Origins by tensor name.

    coremltools carries a node's debug handle through its passes, and names the last op of a lowering
    after the node; the steps before it have names of their own. A traced module has no handles: of
    its tensors only the outputs have an origin.

    Args:
        mil: coremltools' program after all passes.
        program: what was lowered, its nodes numbered.
        outputs: the contract's outputs, in order.
    """
    from coremltools.converters.mil.mil.scope import ScopeSource

    by_node, names = node_origins(program), [node.name for node in program.graph.nodes]
    results = dict(zip(outputs, output_names(program), strict=True))
    origins = {}
    for op in mil.functions["main"].operations:
        (place, *_) = op.scopes.get(ScopeSource.EXIR_DEBUG_HANDLE) or (None,)
        node = names[place] if isinstance(place, int) else ""
        for value in op.outputs if op.op_type != "const" else ():
            exact = value.name in results or _PRECISION.sub("", value.name) == node
            origin = by_node.get(results.get(value.name, node))
            if origin is not None:
                origins[value.name] = replace(origin, exact=exact)
    return origins
