"""Ids outside of a table are refused in the graph, as PyTorch refuses them, whatever the runtime answers.

ONNX Runtime reads the last rows for negative ids, its GatherBlockQuantized answers zeros for ids beyond
the table, and WebGPU's Gather answers both. So ids pass through a lookup that none of them answers:

    ids + zero[|ids - clip(ids, 0, rows - 1)|]        zero = [0], int64, which every runtime reads on the CPU

Within the table that is the id itself; outside, the lookup in one row fails. Ids that are known to lie
in the table (ranks, guarded inputs, fixed positions) pass by. Indexing `table[ids]` counts negative ids
from the end in PyTorch too: there [-rows, rows) is let through. An output that the contract has in int32
is checked alike before its numbers are cut down from int64.
"""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from onnx.numpy_helper import from_array
from torch import Tensor, fx

from pocketrec.convert.lower.ranges import INT32, Range, find_ranges, fits, op_name
from pocketrec.convert.onnx.values import GraphValues

SCOPES = "pkg.torch.onnx.name_scopes"
_LOOKUPS = frozenset({"Gather", "GatherElements", "ScatterElements"})
_STRICT = {
    "embedding": 1,
    "gather": 2,
    "index_select": 2,
    "scatter": 2,
    "scatter_add": 2,
    "scatter_reduce": 2,
}
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bounds:
    """Which ids a lookup takes: `low` to `high`; `whole` where negative ones must be counted up."""

    low: int
    high: int
    whole: bool = False


def guard_lookups(
    model: onnx.ModelProto, program: Any, compressed: Callable[[onnx.TensorProto], bool]
) -> None:
    """Rewrites the model in place: ids that may lie outside of what they read are refused.

    Args:
        model: as exported, with the exporter's notes at every node.
        program: the exported program that the notes name the nodes of.
        compressed: whether a stored tensor will be read by an op that answers every id.
    """
    graph = model.graph
    guards = _Guards(graph, program, compressed)
    nodes = [new for node in graph.node for new in guards.guarded(node)]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(guards.constants)
    graph.value_info.extend(guards.infos)


class _Guards:
    def __init__(
        self, graph: onnx.GraphProto, program: Any, compressed: Callable[[onnx.TensorProto], bool]
    ) -> None:
        self.constants: list[onnx.TensorProto] = []
        self.infos: list[onnx.ValueInfoProto] = []
        self._infos = {each.name: each for each in (*graph.input, *graph.value_info)}
        self._values = GraphValues(graph)
        self._stored = {each.name: each for each in graph.initializer}
        self._compressed = compressed
        self._steps = {node.name: node for node in program.graph.nodes}
        self._ranges = find_ranges(program.graph_module, _held_ranges(program))
        self._made: dict[tuple[str, _Bounds], str] = {}

    def guarded(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """The node, behind what refuses its ids where they may be outside."""
        place = 1 if node.op_type in _LOOKUPS else 0
        bounds = self._bounds(node) if node.op_type in _LOOKUPS else self._narrow(node)
        if bounds is not None:
            ids = node.input[place]
            if (ids, bounds) not in self._made:
                yield from self._refuse(ids, bounds)
            node.input[place] = self._made[ids, bounds]
        yield node

    def _narrow(self, node: onnx.NodeProto) -> _Bounds | None:
        """What an output's int32 holds, where the node cuts more than that down to it."""
        to = next((each.i for each in node.attribute if each.name == "to"), 0)
        given = node.op_type == "Cast" and self._values.is_output(node.output[0])
        if not given or to != TensorProto.INT32 or self._dtype(node.input[0]) != TensorProto.INT64:
            return None
        step = self._step(node)
        known = self._range(step.args[0]) if step is not None else None
        return None if known is not None and fits(known) else _Bounds(low=INT32[0], high=INT32[1])

    def _bounds(self, node: onnx.NodeProto) -> _Bounds | None:
        """Which ids the node takes; None where no other can come, or where the op itself refuses them."""
        if node.input[1] in self._stored:
            return None
        step = self._step(node)
        name = op_name(step) if step is not None else ""
        rows = self._rows(node)
        if step is not None and name in _STRICT:
            known = self._range(step.args[_STRICT[name]])
            inside = known is not None and rows is not None and known[0] >= 0 and known[1] < rows
            return None if inside else _Bounds(low=0, high=_LARGEST if rows is None else rows - 1)
        table = self._stored.get(node.input[0])
        if name == "index" and rows is not None and table is not None and self._compressed(table):
            return _Bounds(low=-rows, high=rows - 1, whole=True)
        return None

    def _step(self, node: onnx.NodeProto) -> fx.Node | None:
        scopes = {each.key: each.value for each in node.metadata_props}.get(SCOPES, "[]")
        return self._steps.get(str((literal_eval(scopes) or [""])[-1]))

    def _range(self, ids: Any) -> Range | None:
        return self._ranges.get(ids) if isinstance(ids, fx.Node) else None

    def _rows(self, node: onnx.NodeProto) -> int | None:
        """How many there are to choose from; None where that is free."""
        axis = next((each.i for each in node.attribute if each.name == "axis"), 0)
        shape = self._values.shape(node.input[0])
        size = shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None
        return size if isinstance(size, int) else None

    def _refuse(self, ids: str, bounds: _Bounds) -> Iterator[onnx.NodeProto]:
        base = f"{ids}/within_{len(self._made)}"
        wide = ids
        if self._dtype(ids) != TensorProto.INT64:
            wide = f"{base}_wide"
            yield helper.make_node("Cast", [ids], [wide], to=TensorProto.INT64)
        clipped, away, steps, zero, given = (f"{base}_{each}" for each in ("clip", "by", "far", "zero", "id"))
        ends = [self._constant(bounds.low), self._constant(bounds.high)]
        yield helper.make_node("Clip", [wide, *ends], [clipped])
        yield helper.make_node("Sub", [wide, clipped], [away])
        yield helper.make_node("Abs", [away], [steps])
        yield helper.make_node("Gather", [self._constant(0, 1), steps], [zero], axis=0)
        yield helper.make_node("Add", [clipped, zero], [given])
        if bounds.whole:
            counted, given = given, f"{base}_counted"
            yield helper.make_node("Mod", [counted, self._constant(bounds.high + 1)], [given])
        self._made[ids, bounds] = given
        self._describe(ids, given)

    def _dtype(self, name: str) -> int:
        found = self._infos.get(name)
        return 0 if found is None else int(found.type.tensor_type.elem_type)

    def _describe(self, ids: str, given: str) -> None:
        """Notes the shape of the ids for the rewrites that follow, which choose by it."""
        if ids in self._infos:
            info = onnx.ValueInfoProto(name=given, type=self._infos[ids].type)
            info.type.tensor_type.elem_type = TensorProto.INT64
            self.infos.append(info)

    def _constant(self, value: int, *shape: int) -> str:
        name = f"ids/{value}{'_row' if shape else ''}"
        if all(each.name != name for each in self.constants):
            self.constants.append(from_array(np.full(shape, value, np.int64), name))
        return name


def _held_ranges(program: Any) -> dict[str, Range]:
    """The ranges of the whole numbers that the program holds, by the names of their placeholders."""
    signature = program.graph_signature
    places = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    held = {**program.state_dict, **program.constants}
    tensors = {place: held.get(name) for place, name in places.items()}
    return {
        place: (int(each.min()), int(each.max()))
        for place, each in tensors.items()
        if isinstance(each, Tensor) and each.dtype in (torch.int64, torch.int32) and each.numel()
    }
