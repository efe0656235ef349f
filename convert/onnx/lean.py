"""Work taken out of an exported ONNX graph: what is the same for all rows is computed once.

repeated    a constant that repeats itself is stored once
expand      an operand that is repeated only to be added or multiplied is broadcast by the op itself
reshape     an activation between two shapes of the same rows works on the rows as they are
scale       a value that is scaled twice, and read in between, is scaled by the product of both
products    see `onnx_products`
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx.numpy_helper import from_array, to_array

from pocketrec.convert.lower.repeated import repeated_axes
from pocketrec.convert.onnx.products import split_products
from pocketrec.convert.onnx.values import GraphValues, all_inputs, rename_inputs, replace_nodes

_BINARY = frozenset({"Add", "Div", "Mul", "Sub"})
_BROADCASTING = _BINARY | {"MatMul", "Where", "Max", "Min", "Equal", "Less", "Greater", "And", "Or"}
_ELEMENTWISE = frozenset(
    {"Abs", "Celu", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Neg"}
    | {"Relu", "Selu", "Sigmoid", "Softplus", "Sqrt", "Tanh"}
)


def simplify(model: onnx.ModelProto) -> None:
    """Rewrites the model in place, as exported and before tables become codes."""
    _shrink_repeated(model.graph)
    for step in (_broadcast, _keep_rows, _scale_once, split_products):
        graph = GraphValues(model.graph)
        nodes = [new for node in model.graph.node for new in step(graph, node)]
        for node in nodes:
            rename_inputs(node, graph.renamed)
        model.graph.initializer.extend(graph.constants)
        replace_nodes(model.graph, nodes)


def _shrink_repeated(proto: onnx.GraphProto) -> None:
    """Constants that repeat themselves, once, where all that read them broadcast."""
    graph = GraphValues(proto)
    readers: dict[str, list[onnx.NodeProto]] = {each.name: [] for each in proto.initializer}
    for node in proto.node:
        for name in all_inputs(node):
            readers.get(name, []).append(node)
    outputs = {each.name for each in proto.output}
    for place, each in enumerate(proto.initializer):
        if not each.raw_data or each.name in outputs or not readers[each.name]:
            continue
        value = to_array(each)
        axes = [
            axis
            for axis in repeated_axes(value)
            if all(_broadcasts(graph, node, each.name, axis) for node in readers[each.name])
        ]
        if axes:
            once = value[tuple(slice(0, 1 if a in axes else None) for a in range(value.ndim))]
            proto.initializer[place].CopyFrom(from_array(np.ascontiguousarray(once), each.name))


def _broadcasts(graph: GraphValues, node: onnx.NodeProto, name: str, axis: int) -> bool:
    """Whether the node's other inputs alone give its result the size on that axis of the constant."""
    mine, whole = graph.shape(name), graph.shape(node.output[0])
    if mine is None or whole is None or len(mine) != len(whole):
        return False
    if node.op_type == "MatMul" and axis >= len(mine) - 2:
        return False
    if node.op_type not in _BROADCASTING or name not in node.input:
        return False
    shapes = [graph.shape(each) for each in node.input if each != name]
    known = [each for each in shapes if each is not None and len(each) == len(whole)]
    return any(each[axis] == whole[axis] for each in known)


def _broadcast(graph: GraphValues, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    if node.op_type in _BINARY:
        for place in (0, 1):
            expand = graph.maker(node.input[place], "Expand")
            shape = graph.shape(node.output[0])
            if expand is None or shape is None or graph.shape(node.input[1 - place]) != shape:
                continue
            if graph.shape(node.input[place]) == shape and graph.shape(expand.input[0]) is not None:
                node.input[place] = expand.input[0]
    yield node


def _keep_rows(graph: GraphValues, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """An activation that stands between two reshapes, of which the second undoes the first, without them."""
    active = graph.maker(node.input[0], *_ELEMENTWISE) if node.op_type == "Reshape" else None
    split = graph.maker(active.input[0], "Reshape") if active is not None else None
    if active is None or split is None or not all(map(graph.has_one_reader, (*active.output, *split.output))):
        yield node
        return
    before, after = graph.shape(split.input[0]), graph.shape(node.output[0])
    if before is None or before != after or graph.is_output(node.output[0]):
        yield node
        return
    active.input[0] = split.input[0]
    graph.rename(node.output[0], active.output[0])


def _scale_once(graph: GraphValues, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """A scale of a scaled value that others read too, as one scale of what that was made of.

    ONNX Runtime moves scales into the products that read them. Where one product reads the inner value and
    another the outer one, it takes away the inner one for both, and cannot load the graph any more.
    """
    outer = _scaled(graph, node)
    inner = None if outer is None else graph.maker(outer[0], "Mul", "Div")
    first = None if inner is None or graph.has_one_reader(inner.output[0]) else _scaled(graph, inner)
    if outer is not None and first is not None:
        factor = np.float32(first[1] * outer[1])
        if np.isfinite(factor) and abs(factor) >= np.finfo(np.float32).tiny:
            name = graph.constant(f"{node.output[0]}_scale", factor)
            node.op_type = "Mul"
            node.input[:] = [first[0], name]
    yield node


def _scaled(graph: GraphValues, node: onnx.NodeProto) -> tuple[str, float] | None:
    """The value that a node scales by a constant, and by how much; None for any other node."""
    if node.op_type == "Div":
        by = graph.number(node.input[1])
        return (node.input[0], 1 / by) if by else None
    if node.op_type == "Mul":
        for value, other in (node.input, reversed(node.input)):
            by = graph.number(other)
            if by is not None:
                return value, by
    return None
