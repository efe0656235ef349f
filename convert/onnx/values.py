"""An exported ONNX graph as its rewrites see it: shapes, makers, readers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
import onnx
from onnx.numpy_helper import from_array, to_array

Shape = tuple[int | str, ...]


class GraphValues:
    """What a rewrite asks of a graph, and the constants that it adds.

    Shapes are compared as the exporter wrote them: equal names of sizes are equal sizes.

    Attributes:
        constants: those that were added.
        renamed: values that were given the name, and with it the shape, of others.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.constants: list[onnx.TensorProto] = []
        self.renamed: dict[str, str] = {}
        self._infos = {each.name: each for each in graph.value_info}
        self._outputs = {each.name for each in graph.output}
        self._shapes: dict[str, Shape] = {each.name: tuple(each.dims) for each in graph.initializer}
        for value in (*graph.input, *graph.value_info, *graph.output):
            dims = value.type.tensor_type.shape.dim
            self._shapes[value.name] = tuple(dim.dim_param or dim.dim_value or "?" for dim in dims)
        self._makers = {name: node for node in graph.node for name in node.output}
        self._fixed = {each.name: each.data_type for each in graph.initializer}
        self._numbers = {
            each.name: float(to_array(each).item())
            for each in graph.initializer
            if each.data_type == onnx.TensorProto.FLOAT and not each.dims
        }
        self._readers = Counter(name for node in graph.node for name in all_inputs(node))
        self._readers.update(each.name for each in graph.output)

    def shape(self, name: str) -> Shape | None:
        """The shape of a value; None where a size of it is not known."""
        found = self._shapes.get(name)
        return None if found is None or "?" in found else found

    def maker(self, name: str, *ops: str) -> onnx.NodeProto | None:
        """The node that makes a value, where it is one of `ops`."""
        node = self._makers.get(name)
        return node if node is not None and node.op_type in ops else None

    def has_one_reader(self, name: str) -> bool:
        """Whether one node reads a value, and the graph does not give it out."""
        return self._readers[name] == 1

    def is_float32(self, name: str) -> bool:
        """Whether a value is stored, as float32."""
        return bool(self._fixed.get(name) == onnx.TensorProto.FLOAT)

    def number(self, name: str) -> float | None:
        """The one float32 that a value holds in every call; None where it is no such constant."""
        return self._numbers.get(name)

    def is_output(self, name: str) -> bool:
        """Whether the graph gives a value out."""
        return name in self._outputs

    def rename(self, name: str, other: str) -> None:
        """Lets whoever reads the value `name` read `other`, which takes its shape."""
        self.renamed[name] = other
        if name in self._infos and other in self._infos:
            self._infos[other].type.CopyFrom(self._infos[name].type)

    def columns(self, name: str) -> int:
        """The size of the last axis of a value; -1 where it is not a number."""
        shape = self.shape(name)
        return -1 if not shape or not isinstance(shape[-1], int) else shape[-1]

    def constant(self, name: str, value: object) -> str:
        """The name of a new constant."""
        array = np.asarray(value)
        self.constants.append(from_array(array, name))
        if array.dtype == np.float32 and not array.ndim:
            self._numbers[name] = float(array)
        return name


def replace_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    """The graph with `nodes`, less those whose outputs nobody reads any more."""
    dead: set[int] = set()
    counts = defaultdict[str, int](int)
    for node in nodes:
        for name in all_inputs(node):
            counts[name] += 1
    for each in graph.output:
        counts[each.name] += 1
    for node in reversed(nodes):
        if not any(counts[name] for name in node.output):
            dead.add(id(node))
            for name in all_inputs(node):
                counts[name] -= 1
    kept = [node for node in nodes if id(node) not in dead]
    written = {name for node in kept for name in node.output}
    infos = [each for each in graph.value_info if each.name in written]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(kept)
    graph.value_info.extend(infos)


def drop_unread(graph: onnx.GraphProto) -> None:
    """Takes out stored values that nobody reads, of which ONNX Runtime warns."""
    read = {name for node in graph.node for name in all_inputs(node)} | {each.name for each in graph.output}
    kept = [each for each in graph.initializer if each.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def rename_inputs(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    """Lets the node, and its inner graphs with it, read values by their new names."""
    for place, name in enumerate(node.input):
        node.input[place] = names.get(name, name)
    for graph in subgraphs(node):
        for inner in graph.node:
            rename_inputs(inner, names)
        for each in graph.output:
            each.name = names.get(each.name, each.name)


def all_inputs(node: onnx.NodeProto) -> Iterable[str]:
    """Names of the values that a node reads, and its inner graphs with it."""
    yield from node.input
    for graph in subgraphs(node):
        for inner in graph.node:
            yield from all_inputs(inner)
        yield from (each.name for each in graph.output)


def subgraphs(node: onnx.NodeProto) -> Iterable[onnx.GraphProto]:
    """The graphs inside of a node."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs
