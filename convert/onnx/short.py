"""What an ONNX file says that nothing reads, taken out: long names of inner values, and types that follow.

A reader infers the types of values from those of inputs and constants, as ONNX Runtime does when it loads; of
operators of a domain of their own it cannot, so theirs stay.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import onnx

from pocketrec.convert.lower.short_names import short_names
from pocketrec.convert.onnx.values import subgraphs


def shorten(graph: onnx.GraphProto, tensors: Collection[str]) -> dict[str, str]:
    """Renames the values of the graph and of those inside of it; old names to new.

    `tensors` keep theirs, which say what is stored; other constants are values like any.
    """
    constants = [each.name for each in graph.initializer if each.name not in tensors]
    kept = {each.name for each in (*graph.input, *graph.output)} | set(tensors)
    for inner in _inner(graph):
        kept.update(each.name for each in inner.initializer)
    names = short_names([*_written(graph), *constants], kept)
    for each in graph.initializer:
        each.name = names.get(each.name, each.name)
    told = {name for node in _nodes(graph) if node.domain for name in node.output}
    for part in (graph, *_inner(graph)):
        infos = [info for info in part.value_info if info.name in told]
        del part.value_info[:]
        part.value_info.extend(infos)
        for value in (*part.value_info, *(() if part is graph else (*part.input, *part.output))):
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
