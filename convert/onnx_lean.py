"""Work taken out of an exported ONNX graph: what is the same for all rows is computed once.

    repeated    a constant that repeats itself is stored once
    expand      an operand that is repeated only to be added or multiplied is broadcast by the op itself
    split       concat(x, repeat(u)) @ [W; V] = x @ W + repeat(u @ V): a user's part of a candidate's
                features is multiplied once for all candidates

Shapes are compared as the exporter wrote them: equal names of sizes are equal sizes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from onnx.numpy_helper import from_array, to_array

from pocketrec.convert.onnx_carry import all_inputs, replace_nodes
from pocketrec.convert.repeated import repeated_axes

_BINARY = frozenset({"Add", "Div", "Mul", "Sub"})
_BROADCASTING = _BINARY | {"MatMul", "Where", "Max", "Min", "Equal", "Less", "Greater", "And", "Or"}
_FEWEST_COLUMNS = 8  # of what is repeated, below which a sum costs more than the product
_WIDEST = 4096  # outputs of a product that is split; a catalogue is not taken apart
Shape = tuple[int | str, ...]


def simplify(model: onnx.ModelProto) -> None:
    """Rewrites the model in place, as exported and before tables become codes."""
    _shrink_repeated(model.graph)
    for step in (_broadcast, _split_products):
        graph = _Graph(model.graph)
        nodes = [new for node in model.graph.node for new in step(graph, node)]
        model.graph.initializer.extend(graph.constants)
        replace_nodes(model.graph, nodes)


class _Graph:
    """What a step asks of a graph, and the constants that it adds."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.constants: list[onnx.TensorProto] = []
        self._shapes: dict[str, Shape] = {each.name: tuple(each.dims) for each in graph.initializer}
        for value in (*graph.input, *graph.value_info, *graph.output):
            dims = value.type.tensor_type.shape.dim
            self._shapes[value.name] = tuple(dim.dim_param or dim.dim_value or "?" for dim in dims)
        self._makers = {name: node for node in graph.node for name in node.output}
        self._fixed = {each.name for each in graph.initializer}

    def shape(self, name: str) -> Shape | None:
        """The shape of a value; None where a size of it is not known."""
        found = self._shapes.get(name)
        return None if found is None or "?" in found else found

    def maker(self, name: str, *ops: str) -> onnx.NodeProto | None:
        """The node that makes a value, where it is one of `ops`."""
        node = self._makers.get(name)
        return node if node is not None and node.op_type in ops else None

    def is_constant(self, name: str) -> bool:
        """Whether a value is stored."""
        return name in self._fixed

    def constant(self, name: str, value: Sequence[int]) -> str:
        """The name of a new constant of integers."""
        self.constants.append(from_array(np.array(value, np.int64), name))
        return name


def _shrink_repeated(proto: onnx.GraphProto) -> None:
    """Constants that repeat themselves, once, where all that read them broadcast."""
    graph = _Graph(proto)
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


def _broadcasts(graph: _Graph, node: onnx.NodeProto, name: str, axis: int) -> bool:
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


def _broadcast(graph: _Graph, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    if node.op_type in _BINARY:
        for place in (0, 1):
            expand = graph.maker(node.input[place], "Expand")
            shape = graph.shape(node.output[0])
            if expand is None or shape is None or graph.shape(node.input[1 - place]) != shape:
                continue
            if graph.shape(node.input[place]) == shape and graph.shape(expand.input[0]) is not None:
                node.input[place] = expand.input[0]
    yield node


def _split_products(graph: _Graph, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    concat = _concat_before(graph, node)
    if concat is None:
        yield node
        return
    once = [_repeated(graph, name) for name in concat.input]
    ends = np.cumsum([_columns(graph, name) for name in concat.input])
    columns = np.split(np.arange(ends[-1]), ends[:-1])
    kept = [place for place, source in enumerate(once) if source is None]
    sources = [source for source in once if source is not None]
    repeated = [place for place, source in enumerate(once) if source is not None]
    if not kept or sum(len(columns[place]) for place in repeated) < _FEWEST_COLUMNS:
        yield node
        return
    base, make = node.output[0], onnx.helper.make_node
    parts = (("each", [concat.input[place] for place in kept], kept), ("once", sources, repeated))
    for kind, names, places in parts:
        rows = graph.constant(
            f"{base}_{kind}_rows", np.concatenate([columns[place] for place in places]).tolist()
        )
        yield make("Concat", names, [f"{base}_{kind}"], axis=-1)
        yield make("Gather", [node.input[1], rows], [f"{base}_{kind}_weight"], axis=0)
        yield make("MatMul", [f"{base}_{kind}", f"{base}_{kind}_weight"], [f"{base}_{kind}_product"])
    biased = f"{base}_once_product"
    if len(node.input) > 2:
        yield make("Add", [biased, node.input[2]], [f"{base}_biased"])
        biased = f"{base}_biased"
    yield make("Add", [f"{base}_each_product", biased], [f"{base}_sum"])
    merged = graph.constant(f"{base}_shape", [-1, _columns(graph, base)])
    yield make("Reshape", [f"{base}_sum", merged], [base])


def _concat_before(graph: _Graph, node: onnx.NodeProto) -> onnx.NodeProto | None:
    """The concat of three axes whose columns a product by a constant reads; None where there is no such."""
    values = {
        each.name: each.f if each.type == onnx.AttributeProto.FLOAT else each.i for each in node.attribute
    }
    plain = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0}
    if node.op_type != "Gemm" or any(values.get(name, usual) != usual for name, usual in plain.items()):
        return None
    reshape = graph.maker(node.input[0], "Reshape")
    concat = graph.maker(reshape.input[0], "Concat") if reshape is not None else None
    if reshape is None or concat is None or not graph.is_constant(node.input[1]):
        return None
    merged, whole, product = (
        graph.shape(each) for each in (reshape.output[0], concat.output[0], node.output[0])
    )
    axis = next(each.i for each in concat.attribute if each.name == "axis")
    if merged is None or whole is None or product is None or len(whole) != 3 or axis not in (-1, 2):
        return None
    if merged[-1] != whole[-1] or not 0 < _columns(graph, node.output[0]) <= _WIDEST:
        return None
    if any(_columns(graph, name) < 1 for name in concat.input):
        return None
    return concat


def _columns(graph: _Graph, name: str) -> int:
    shape = graph.shape(name)
    return -1 if shape is None or not isinstance(shape[-1], int) else shape[-1]


def _repeated(graph: _Graph, name: str) -> str | None:
    """What is repeated along the middle of three axes to make a value; None where nothing is."""
    expand = graph.maker(name, "Expand")
    if expand is None:
        return None
    before, after = graph.shape(expand.input[0]), graph.shape(name)
    if before is None or after is None or len(before) != 3 or before[1] != 1 or after[1] == 1:
        return None
    return expand.input[0] if (before[0], before[2]) == (after[0], after[2]) else None
