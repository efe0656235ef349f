"""What an ONNX file says that nothing reads, taken out: long names of inner values, and types that follow.

A reader infers the types of values from those of inputs and constants, as ONNX Runtime does when it loads; of
operators of a domain of their own it cannot, so theirs stay.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from pocketrec.convert.lower.short_names import short_names
from pocketrec.convert.onnx.values import subgraphs


def shorten(graph: onnx.GraphProto) -> dict[str, str]:
    """Renames the inner values of the graph and of those inside of it; old names to new."""
    kept = {each.name for each in (*graph.input, *graph.output, *graph.initializer)}
    for inner in _inner(graph):
        kept.update(each.name for each in inner.initializer)
    names = short_names(_written(graph), kept)
    told = {name for node in _nodes(graph) if node.domain for name in node.output}
    for each in (graph, *_inner(graph)):
        infos = [info for info in each.value_info if info.name in told]
        del each.value_info[:]
        each.value_info.extend(infos)
        for value in (*each.value_info, *(() if each is graph else (*each.input, *each.output))):
            value.name = names.get(value.name, value.name)
    for node in _nodes(graph):
        for values in (node.input, node.output):
            values[:] = [names.get(name, name) for name in values]
        node.name = next((name for name in node.output if name), "")
    return names


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for inner in subgraphs(node):
            yield from _nodes(inner)


def _inner(graph: onnx.GraphProto) -> list[onnx.GraphProto]:
    return [inner for node in _nodes(graph) for inner in subgraphs(node)]


def _written(graph: onnx.GraphProto) -> Iterator[str]:
    """The names of what nodes give, and of what inner graphs take, in order."""
    for node in graph.node:
        for inner in subgraphs(node):
            yield from (each.name for each in inner.input)
            yield from _written(inner)
        yield from (name for name in node.output if name)
