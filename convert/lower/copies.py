"""A program with a graph of its own, for what a target changes and a capture keeps."""

from __future__ import annotations

import copy

import torch


def with_own_graph(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """The same program with a copy of its graph; weights, constants and signature are shared."""
    changed = copy.copy(program)
    changed._graph_module = copy.deepcopy(program.graph_module)  # the class has no public way to say so
    return changed
