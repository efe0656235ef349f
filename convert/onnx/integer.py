"""Products of rounded inputs with 8-bit weights, in integers, for ONNX.

    static    QuantizeLinear ─┐
    dynamic   DynamicQuantizeLinear ─┴▶ MatMulInteger ▶ Cast ▶ × (input's scale × rows' scales) ▶ + bias

Both sides are unsigned: of unsigned by signed bytes, processors without VNNI instructions add pairs in 16
bits, which 255 × 127 × 2 exceeds, so that sums would be other numbers there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto

from pocketrec.convert.onnx.blocks import OnnxBlocks
from pocketrec.convert.onnx.codes import OnnxLinear, unsigned_codes
from pocketrec.convert.onnx.writer import OnnxWriter
from pocketrec.errors import CannotCarry
from pocketrec.quantize.activations import multiplies_in_integers
from pocketrec.quantize.tensor import LinearTensor

_MIDDLE = 128


def rounding_table() -> dict[Callable[..., Any], Callable[..., Any]]:
    """What torch.onnx writes for the operators that round inputs."""
    from onnxscript import opset18

    op: Any = opset18

    def static(x: Any, scale: float, zero_point: int) -> Any:
        step = op.Constant(value=onnx.helper.make_tensor("scale", TensorProto.FLOAT, [], [scale]))
        zero = op.Constant(value=onnx.helper.make_tensor("zero_point", TensorProto.UINT8, [], [zero_point]))
        return op.DequantizeLinear(op.QuantizeLinear(x, step, zero), step, zero)

    def dynamic(x: Any) -> Any:
        codes, scale, zero = op.DynamicQuantizeLinear(x)
        return op.DequantizeLinear(codes, scale, zero)

    ops: Any = torch.ops.pocketrec
    return {ops.round_static.default: static, ops.round_dynamic.default: dynamic}


def rounded_inputs(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """The nodes that give rounded inputs, by their output; reshapes are moved in front of them."""
    found: dict[str, onnx.NodeProto] = {}
    nodes = []
    for node in graph.node:
        nodes.append(node)
        source = found.get(node.input[0]) if node.op_type == "Reshape" else None
        if source is not None:
            result, codes = node.output[0], f"{node.output[0]}_codes"
            node.input[0], node.output[0] = source.input[0], codes
            node = onnx.helper.make_node("DequantizeLinear", [codes, *source.input[1:]], [result])
            nodes.append(node)
        if node.op_type == "DequantizeLinear":
            found[node.output[0]] = node
    del graph.node[:]
    graph.node.extend(nodes)
    return {node.output[0]: node for node in graph.node if node.output and node.output[0] in found}


def integer_product(
    node: onnx.NodeProto, rounded: onnx.NodeProto, tensor: LinearTensor, codes: str, write: OnnxWriter
) -> str:
    """The name of the product of a rounded input with a weight's codes, float32.

    Args:
        node: the MatMul or Gemm that it stands for; a Gemm's bias is added.
        rounded: the node that gives its left side.
        tensor: the weight, `[rows, columns]`.
        codes: from `turned_codes`.
        write: writes the nodes.
    """
    inputs, scale, zero = rounded.input
    middle = write.constant(np.uint8(_MIDDLE))
    total = write.cast(write.node("MatMulInteger", [inputs, codes, zero, middle]))
    stored = write.numbers(tensor.scales, "scales")
    scales = write.node("Mul", [write.reshape(stored, (-1,)), scale])
    product = write.node("Mul", [total, scales])
    bias = node.input[2] if node.op_type == "Gemm" and len(node.input) > 2 else ""
    return write.node("Add", [product, bias]) if bias else product


def turned_codes(codes: OnnxLinear | OnnxBlocks, write: OnnxWriter) -> str:
    """Codes as uint8 `[columns, rows]`, 128 for zero, from the array that the tensor's other readers read.

    ONNX Runtime folds this when it loads.
    """
    if isinstance(codes, OnnxLinear):
        wide = write.cast(codes.codes(), TensorProto.INT32)
        moved = write.node("Add", [wide, write.constant(np.int32(_MIDDLE))])
        unsigned = write.cast(moved, TensorProto.UINT8)
    else:
        unsigned = write.constant(unsigned_codes(codes.tensor), "codes")
    return write.node("Transpose", [unsigned], perm=[1, 0])


def takes_integers(node: onnx.NodeProto, tensor: LinearTensor, transposed: bool) -> bool:
    """Whether a product with the tensor, or with its transpose, is `x @ tensor.T`."""
    if not multiplies_in_integers(tensor):
        return False
    if node.op_type == "MatMul":
        return transposed
    given = {each.name: each for each in node.attribute}
    plain = all(given[name].f == 1.0 for name in ("alpha", "beta") if name in given)
    turns = "transB" in given and given["transB"].i == 1
    return plain and not ("transA" in given and given["transA"].i) and turns != transposed


def check_products(nodes: Iterable[onnx.NodeProto]) -> None:
    """Checks that every rounded input is multiplied in integers; CannotCarry names what reads another."""
    nodes = list(nodes)
    rounded = {node.output[0] for node in nodes if node.op_type == "DequantizeLinear"}
    for node in nodes:
        if rounded & set(node.input):
            raise CannotCarry(
                f"{node.op_type} {node.name or node.output[0]}: a rounded input is read by what is no "
                "product with 8-bit codes; add its layer to compress.float_layers"
            )
