"""Compressed tensors into an exported ONNX model: constants become codes, each stored once."""

from __future__ import annotations

import math

import onnx

from pocketrec.convert.lower.carry import Carrier, Match
from pocketrec.convert.onnx.blocks import MANY, OnnxBlocks, fits_blocks, multiplies
from pocketrec.convert.onnx.codes import OnnxCodes, OnnxLinear, OnnxSparse, onnx_codes
from pocketrec.convert.onnx.dialect import NATIVE, Dialect
from pocketrec.convert.onnx.external import Array, array_of
from pocketrec.convert.onnx.integer import (
    check_products,
    integer_product,
    rounded_inputs,
    takes_integers,
    turned_codes,
)
from pocketrec.convert.onnx.scan import Head, OnnxScan, find_heads
from pocketrec.convert.onnx.values import replace_nodes, subgraphs
from pocketrec.convert.onnx.writer import MICROSOFT, OnnxWriter
from pocketrec.quantize.tensor import QuantizedTensor
from pocketrec.source.stubs import Stub

Codes = OnnxCodes | OnnxSparse | OnnxBlocks


def carry_codes(
    model: onnx.ModelProto,
    carrier: Carrier,
    *,
    dialect: Dialect = NATIVE,
    hidden: dict[str, Array] | None = None,
) -> None:
    """Rewrites the model in place: every constant that is a compressed tensor is read from its codes.

    Args:
        model: as exported.
        carrier: the compressed tensors; it is told which were carried.
        dialect: what may be written.
        hidden: the constants whose values are not in the model, by name; kept up to date.
    """
    graph, hidden = model.graph, {} if hidden is None else hidden
    found = {
        each.name: match
        for each in graph.initializer
        if each.data_type == onnx.TensorProto.FLOAT
        if (match := carrier(array_of(each, hidden))) is not None
    }
    if not found:
        check_products(graph.node)
        return
    rewriter = _Rewriter(graph, found, dialect)
    nodes = [new for node in graph.node for new in rewriter.replaced(node)]
    replace_nodes(graph, [*rewriter.prologue, *nodes])
    check_products(graph.node)
    constants = [*(each for each in graph.initializer if each.name not in found), *rewriter.constants]
    del graph.initializer[:]
    graph.initializer.extend(constants)
    for name in found:
        hidden.pop(name, None)
    hidden.update(rewriter.stubs)
    if rewriter.contrib and not any(each.domain == MICROSOFT for each in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid(MICROSOFT, 1))
    for match in found.values():
        carrier.done(match.tensor)


class _Rewriter:
    """Rewrites node by node. What reads a whole table goes to the front, once per table."""

    def __init__(self, graph: onnx.GraphProto, found: dict[str, Match], dialect: Dialect) -> None:
        self.prologue: list[onnx.NodeProto] = []
        self._found = found
        self._writers: dict[str, OnnxWriter] = {}
        self._codes: dict[str, Codes] = {}
        self._integer_codes: dict[str, str] = {}
        self._whole: dict[tuple[str, bool], str] = {}
        self._moved: dict[tuple[str, tuple[int, ...], tuple[int, ...]], str] = {}
        self._turned = _transposes(graph, found)
        self._rounded = rounded_inputs(graph)
        self._heads = self._find_heads(graph)
        scanned = {each.table for each in self._heads.values()}
        most = _most_looked_up(graph, found)
        for match in found.values():
            name = match.tensor.name
            if name not in self._codes:
                writer = OnnxWriter(name, len(self._writers), float16=dialect.float16)
                self._writers[name] = writer
                blocks = dialect.blocks and name not in scanned
                few = most.get(name, 0) < MANY
                self._codes[name] = _codes(match.tensor, writer, blocks=blocks, few=few)
                self.prologue += writer.take()

    @property
    def constants(self) -> list[onnx.TensorProto]:
        """What all tensors store."""
        held = (each for writer in self._writers.values() for each in writer.constants)
        return list({each.name: each for each in held}.values())

    @property
    def stubs(self) -> dict[str, Stub]:
        """The constants that stand for streamed rows."""
        return {name: stub for writer in self._writers.values() for name, stub in writer.stubs.items()}

    @property
    def contrib(self) -> bool:
        """Whether an op of ONNX Runtime's own domain was used."""
        return any(each.contrib for each in self._writers.values())

    def replaced(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """The nodes that stand in for `node`."""
        if node.output and node.output[0] in self._heads:
            return []  # the scan multiplies and adds
        lookup = self._lookup(node) or self._integers(node) or self._product(node) or self._best(node)
        if lookup:
            return lookup
        for place, name in enumerate(node.input):
            if name in self._found:
                node.input[place] = self._read(self._found[name])
        for graph in subgraphs(node):
            inner = [new for each in graph.node for new in self.replaced(each)]
            replace_nodes(graph, inner)
        return [node]

    def _lookup(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """A gather of rows as a gather of codes; nothing where `node` is none."""
        match = self._found.get(node.input[0]) if node.op_type == "Gather" and node.input else None
        axis = next((each.i for each in node.attribute if each.name == "axis"), 0)
        if match is None or match.transposed or match.derived or axis != 0 or len(match.tensor.shape) != 2:
            return []
        name = match.tensor.name
        codes = self._codes[name]
        if isinstance(codes, OnnxSparse):
            return []
        output = codes.rows(node.input[1])
        return _renamed(self._writers[name].take(), output, node.output[0])

    def _integers(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """A product of a rounded input with a table, in integers; nothing where `node` is none."""
        if node.op_type not in ("MatMul", "Gemm") or node.input[0] not in self._rounded:
            return []
        right = node.input[1]
        match = self._found.get(right)
        name = self._turned.get(right) if match is None else match.tensor.name
        if name is None:
            return []
        codes, writer = self._codes[name], self._writers[name]
        if not isinstance(codes, OnnxLinear | OnnxBlocks):
            return []
        if not takes_integers(node, codes.tensor, match is None or match.transposed):
            return []
        if name not in self._integer_codes:
            self._integer_codes[name] = turned_codes(codes, writer)
            self.prologue += writer.take()
        stored = self._integer_codes[name]
        output = integer_product(node, self._rounded[node.input[0]], codes.tensor, stored, writer)
        return _renamed(writer.take(), output, node.output[0])

    def _product(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """A product with a large table as a product with its codes; nothing where `node` is none."""
        if node.op_type != "MatMul" or not node.input:
            return []
        right = node.input[1]
        match = self._found.get(right)
        name = match.tensor.name if match is not None and match.transposed else self._turned.get(right)
        codes = self._codes.get(name or "")
        if name is None or not isinstance(codes, OnnxBlocks) or not multiplies(codes.tensor):
            return []
        output = codes.product(node.input[0])
        return _renamed(self._writers[name].take(), output, node.output[0])

    def _find_heads(self, graph: onnx.GraphProto) -> dict[str, Head]:
        tensors = {match.tensor.name: match.tensor for match in self._found.values()}
        transposed = {name: match.tensor for name, match in self._found.items() if match.transposed}
        turned = {**transposed, **{key: tensors[name] for key, name in self._turned.items()}}
        direct = {
            name: match.tensor
            for name, match in self._found.items()
            if not match.transposed and not match.derived
        }
        return find_heads(graph, turned, direct, compressed=self._found)

    def _best(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """The k best of a product with a scanned table; nothing where `node` is none."""
        head = self._heads.get(node.input[0]) if node.op_type == "TopK" else None
        codes = self._codes.get(head.table) if head is not None else None
        if head is None or not isinstance(codes, OnnxLinear):
            return []
        writer = self._writers[head.table]
        OnnxScan(head, codes, writer).best()
        nodes = writer.take()
        nodes[-1].output[:] = node.output
        return nodes

    def _read(self, match: Match) -> str:
        """The value that holds the constant of a match."""
        name = match.tensor.name
        if not match.derived:
            return self._read_whole(name, match.transposed)
        key = (name, match.axes, match.shape)
        if key not in self._moved:
            value = self._read_whole(name, False)
            writer = self._writers[name]
            if match.axes != tuple(range(len(match.axes))):
                value = writer.node("Transpose", [value], perm=list(match.axes))
            self._moved[key] = writer.reshape(value, match.shape)
            self.prologue += writer.take()
        return self._moved[key]

    def _read_whole(self, name: str, transposed: bool) -> str:
        key = (name, transposed)
        if key not in self._whole:
            writer = self._writers[name]
            if transposed:
                self._whole[key] = writer.node("Transpose", [self._read_whole(name, False)], perm=[1, 0])
            else:
                self._whole[key] = self._codes[name].whole()
            self.prologue += writer.take()
        return self._whole[key]


def _codes(tensor: QuantizedTensor, writer: OnnxWriter, *, blocks: bool, few: bool) -> Codes:
    """What writes a tensor: with ONNX Runtime's own ops where `blocks` allows it and they are faster."""
    if blocks and fits_blocks(tensor) and (few or multiplies(tensor)):
        return OnnxBlocks(tensor, writer)
    return onnx_codes(tensor, writer)


def _transposes(graph: onnx.GraphProto, found: dict[str, Match]) -> dict[str, str]:
    """Outputs of the nodes that transpose a compressed table, to its name."""
    turned = {}
    for node in graph.node:
        if node.op_type == "Transpose" and node.input[0] in found:
            match = found[node.input[0]]
            if len(match.tensor.shape) == 2 and not match.transposed and not match.derived:
                turned[node.output[0]] = match.tensor.name
    return turned


def _most_looked_up(graph: onnx.GraphProto, found: dict[str, Match]) -> dict[str, int]:
    """The most rows that one lookup reads, by the table's name; a dim without a size counts as one."""
    dims = {
        each.name: [dim.dim_value or 1 for dim in each.type.tensor_type.shape.dim]
        for each in (*graph.input, *graph.value_info)
    }
    most: dict[str, int] = {}
    for node in graph.node:
        if node.op_type == "Gather" and node.input[0] in found:
            name = found[node.input[0]].tensor.name
            most[name] = max(most.get(name, 0), math.prod(dims.get(node.input[1], [])))
    return most


def _renamed(nodes: list[onnx.NodeProto], old: str, new: str) -> list[onnx.NodeProto]:
    assert nodes[-1].output[0] == old
    nodes[-1].output[0] = new
    return nodes
