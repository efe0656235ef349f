"""An ONNX model as a lint graph; external data is mapped, and read only where a rule asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pocketrec.errors import ArtifactError
from pocketrec.outside import open_file
from pocketrec.validate.artifact.onnx_file import ExternalData, external_data, load_onnx, nested_graphs
from pocketrec.validate.artifact.sizes import describe_artifact
from pocketrec.validate.coreml_program.values import Array
from pocketrec.validate.lint.graph import Graph, Node, Value

# ONNX's op: the name in Core ML's words, and the names of its operands.
_NAMES: dict[str, tuple[str, tuple[str, ...]]] = {
    **{name: (name.lower(), ("x", "y")) for name in ("Add", "Sub", "Mul", "Mod", "Pow", "MatMul", "Equal")},
    **{name: (name.lower(), ("x",)) for name in ("Cast", "Softmax", "Floor", "Round", "Exp", "Transpose")},
    **{name: (name.lower(), ("x",)) for name in ("Identity", "Reshape", "Squeeze", "Tile", "Expand", "Clip")},
    "Div": ("real_div", ("x", "y")),
    "Gather": ("gather", ("x", "indices")),
    "GatherND": ("gather_nd", ("x", "indices")),
    "GatherBlockQuantized": ("gather_block_quantized", ("x", "indices", "scales")),
    "GatherElements": ("gather_along_axis", ("x", "indices")),
    "TopK": ("topk", ("x", "k")),
    "ArgMax": ("reduce_argmax", ("x",)),
    "ArgMin": ("reduce_argmin", ("x",)),
    "ReduceMax": ("reduce_max", ("x",)),
    "LogSoftmax": ("softmax", ("x",)),
    "Where": ("select", ("cond", "a", "b")),
    "Unsqueeze": ("expand_dims", ("x",)),
    "Slice": ("slice_by_index", ("x",)),
    "Split": ("split", ("x",)),
    "Flatten": ("flatten2d", ("x",)),
    "Max": ("maximum", ("x", "y")),
    "Min": ("minimum", ("x", "y")),
    "Gemm": ("linear", ("x", "weight", "bias")),
    "GreaterOrEqual": ("greater_equal", ("x", "y")),
    "Greater": ("greater", ("x", "y")),
    "Less": ("less", ("x", "y")),
    "LessOrEqual": ("less_equal", ("x", "y")),
    "Or": ("logical_or", ("x", "y")),
    "And": ("logical_and", ("x", "y")),
    "Not": ("logical_not", ("x",)),
    "BitwiseXor": ("bitwise_xor", ("x", "y")),
    "BitwiseAnd": ("bitwise_and", ("x", "y")),
    "BitwiseOr": ("bitwise_or", ("x", "y")),
}
_VARIADIC = {"Concat": "concat"}


def onnx_graph(path: Path) -> Graph:
    """The graph of an .onnx file, nested graphs and local functions included.

    Raises UsageError where there is no such file, ArtifactError where it is damaged.
    """
    model = _typed(load_onnx(path), path)
    described = describe_artifact(path)
    reader = _Reader(path=path)
    reader.read(model.graph)
    return Graph(
        format="onnx",
        nodes=tuple(reader.nodes),
        values=reader.values,
        inputs=described.inputs,
        outputs=described.outputs,
        results=tuple(each.name for each in model.graph.output),
        metadata=described.metadata,
        producer=model.producer_name,
    )


def _typed(model: Any, path: Path) -> Any:
    """The model with local functions inlined and, where it says no types, with inferred ones."""
    import onnx
    from onnx import inliner, shape_inference

    try:
        if model.functions:
            model = inliner.inline_local_functions(model)
        known = {each.name for each in (*model.graph.value_info, *model.graph.output)}
        if any(name not in known for node in model.graph.node for name in node.output):
            model = shape_inference.infer_shapes(model)
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError) as error:
        line = " ".join(str(error).split())[:200]
        raise ArtifactError(
            f"{path.name}: its types contradict each other ({line}); build it again"
        ) from None
    return model


@dataclass(slots=True)
class _Reader:
    path: Path
    nodes: list[Node] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)

    def read(self, graph: Any) -> None:
        for described in (*graph.input, *graph.value_info, *graph.output):
            self._add(_described(described))
        for tensor in graph.initializer:
            self._add(self._constant(tensor, tensor.name))
        for number, node in enumerate(graph.node):
            self._node(node, number)

    def _add(self, value: Value) -> None:
        self.values[value.name] = value

    def _node(self, node: Any, number: int) -> None:
        attributes = {each.name: each for each in node.attribute}
        if node.op_type == "Constant" and node.output:
            self._add(self._constant_of(node, attributes))
            return
        nested = [graph for each in node.attribute for graph in nested_graphs(each)]
        kind, inputs = _renamed(node)
        self.nodes.append(
            Node(
                kind=kind,
                name=node.name or (node.output[0] if node.output else f"{kind}_{number}"),
                inputs=inputs,
                outputs=tuple(node.output),
                attributes=_numbers(attributes),
                captured=tuple(name for graph in nested for name in _read_by(graph)),
            )
        )
        for graph in nested:
            self.read(graph)

    def _constant_of(self, node: Any, attributes: dict[str, Any]) -> Value:
        name = node.output[0]
        if "value" in attributes:
            return self._constant(attributes["value"].t, name)
        value = next(iter(_numbers(attributes).values()), None)
        if value is None:
            return Value(name=name)
        array = np.asarray(value)
        return Value(name=name, dtype=array.dtype.name, shape=array.shape, load=lambda: array)

    def _constant(self, tensor: Any, name: str) -> Value:
        dtype, shape = dtype_name(tensor.data_type), tuple(int(size) for size in tensor.dims)
        return Value(name=name, dtype=dtype, shape=shape, load=self._loader(tensor, dtype, shape))

    def _loader(self, tensor: Any, dtype: str, shape: tuple[int, ...]) -> Callable[[], Any]:
        outside = external_data(tensor, self.path)
        if outside is not None:
            return partial(self._external, outside, dtype, shape)
        return partial(self._inline, tensor)

    def _inline(self, tensor: Any) -> Array:
        from onnx import numpy_helper

        try:
            array: Array = numpy_helper.to_array(tensor)
        except (ValueError, TypeError) as error:
            raise ArtifactError(
                f"{self.path.name}: tensor {tensor.name!r}: {error}; build or pull it again"
            ) from None
        return array

    def _external(self, outside: ExternalData, dtype: str, shape: tuple[int, ...]) -> Array:
        try:
            with open_file(outside.path) as file:
                return np.memmap(file, dtype=np.dtype(dtype), mode="r", offset=outside.offset, shape=shape)
        except (ValueError, TypeError, OverflowError) as error:
            raise ArtifactError(
                f"{self.path.name}: external data {outside.path.name}: {error}; pull it again"
            ) from None


def _renamed(node: Any) -> tuple[str, dict[str, tuple[str, ...]]]:
    """The op and its operands in Core ML's words; ONNX's own, with numbered operands, where it has none."""
    if node.op_type in _VARIADIC:
        return _VARIADIC[str(node.op_type)], {"values": tuple(str(each) for each in node.input if each)}
    kind, names = _NAMES.get(str(node.op_type), (str(node.op_type), ()))
    inputs: dict[str, tuple[str, ...]] = {}
    for number, each in enumerate(node.input):
        if each:
            inputs[names[number] if number < len(names) else str(number)] = (each,)
    return kind, inputs


def _numbers(attributes: dict[str, Any]) -> dict[str, Any]:
    from onnx import AttributeProto, helper

    plain = {AttributeProto.INT, AttributeProto.INTS, AttributeProto.FLOAT, AttributeProto.FLOATS}
    return {name: helper.get_attribute_value(each) for name, each in attributes.items() if each.type in plain}


def _read_by(graph: Any) -> Iterator[str]:
    yield from (each.name for each in graph.output)
    for node in graph.node:
        yield from (each for each in node.input if each)
        for attribute in node.attribute:
            for nested in nested_graphs(attribute):
                yield from _read_by(nested)


def _described(value: Any) -> Value:
    tensor = value.type.tensor_type
    shape = (
        tuple(int(dim.dim_value) if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
        if tensor.HasField("shape")
        else None
    )
    return Value(name=value.name, dtype=dtype_name(tensor.elem_type), shape=shape)


def dtype_name(data_type: int) -> str:
    """NumPy's name of an ONNX data type; empty where it has none."""
    import onnx

    try:
        name = str(onnx.TensorProto.DataType.Name(data_type)).lower()
    except ValueError:
        return ""
    return {"float": "float32", "double": "float64", "undefined": ""}.get(name, name)
