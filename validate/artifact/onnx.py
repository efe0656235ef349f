"""The reader of .onnx files: the graph of one, nested graphs and local functions included.

External data is mapped, and read only where somebody asks for its numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pocketrec.errors import ArtifactError
from pocketrec.origin import ORIGINS
from pocketrec.validate.artifact.graph import Graph, Op, Tensor, packed_bytes
from pocketrec.validate.artifact.onnx_engine import OnnxEngine
from pocketrec.validate.artifact.onnx_file import external_data, load_onnx, nested_graphs
from pocketrec.validate.artifact.onnx_tensors import dtype_name, numbers_of, read_from_outside
from pocketrec.validate.artifact.onnx_words import in_core_ml_words
from pocketrec.validate.runtimes.runtime import Array, TensorSpec


def read_onnx(path: Path) -> Graph:
    """The graph of the .onnx file at `path`.

    Raises UsageError where there is no such file, ArtifactError where it is damaged.
    """
    stated = load_onnx(path)
    model = _typed(stated, path)
    reader = _Reader(path=path)
    reader.read(model.graph, 0)
    metadata = {each.key: each.value for each in model.metadata_props}
    return Graph(
        name=path.name,
        format="onnx",
        version="opset " + ", ".join(str(each.version) for each in model.opset_import if not each.domain),
        ops=tuple(reader.ops),
        tensors=reader.tensors,
        held=tuple(reader.held),
        inputs=tuple(
            tensor_spec(each) for each in stated.graph.input if each.name not in reader.initializers
        ),
        outputs=tuple(tensor_spec(each) for each in stated.graph.output),
        results=tuple(each.name for each in model.graph.output),
        metadata=metadata,
        producer=model.producer_name,
        refuses_ids_beyond=True,
        origin_table=metadata.get(ORIGINS, ""),
        start=partial(OnnxEngine, model, path),
        files=(path, *sorted(reader.files)),
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
    ops: list[Op] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    held: list[Tensor] = field(default_factory=list)
    initializers: set[str] = field(default_factory=set)
    files: set[Path] = field(default_factory=set)

    def read(self, graph: Any, depth: int) -> None:
        for described in (*graph.input, *graph.value_info, *graph.output):
            self._add(_described(described))
        for tensor in graph.initializer:
            self._add(self._constant(tensor, tensor.name))
        for sparse in graph.sparse_initializer:
            self._add(self._sparse(sparse, sparse.values.name))
        if not depth:
            self.initializers.update(each.name for each in graph.initializer)
            self.initializers.update(each.values.name for each in graph.sparse_initializer)
        for number, node in enumerate(graph.node):
            self._node(node, number, depth)

    def _add(self, tensor: Tensor) -> None:
        self.tensors[tensor.name] = tensor

    def _node(self, node: Any, number: int, depth: int) -> None:
        if node.op_type == "Constant" and node.output:
            self._add(self._constant_of(node))
            return
        nested = [graph for each in node.attribute for graph in nested_graphs(each)]
        kind, inputs = in_core_ml_words(str(node.op_type), node.input)
        self.ops.append(
            Op(
                type=str(node.op_type),
                kind=kind,
                name=node.name or (node.output[0] if node.output else f"{kind}_{number}"),
                inputs=inputs,
                outputs=tuple(node.output),
                attributes=_numbers(node.attribute),
                captured=tuple(name for graph in nested for name in read_from_outside(graph)),
                depth=depth,
            )
        )
        for each in node.attribute:
            if each.HasField("t"):
                self.held.append(self._constant(each.t, next(iter(node.output), node.op_type)))
        for graph in nested:
            self.read(graph, depth + 1)

    def _constant_of(self, node: Any) -> Tensor:
        """What a Constant node gives; numbers in its attributes are no stored tensor."""
        attributes, name = {each.name: each for each in node.attribute}, node.output[0]
        if "value" in attributes:
            return self._constant(attributes["value"].t, name)
        if "sparse_value" in attributes:
            return self._sparse(attributes["sparse_value"].sparse_tensor, name)
        value = next(iter(_numbers(node.attribute, texts=True).values()), None)
        if value is None:
            raise ArtifactError(f"{self.path.name}: constant {name!r} has no value; build or pull it again")
        array = np.asarray(value)
        dtype = "string" if array.dtype.kind in "SO" else array.dtype.name
        return Tensor(name=name, dtype=dtype, shape=array.shape, load=lambda: array)

    def _constant(self, tensor: Any, name: str) -> Tensor:
        dtype, shape = dtype_name(tensor.data_type), tuple(int(size) for size in tensor.dims)
        outside = external_data(tensor, self.path)
        if outside is not None:
            self.files.add(outside.path)
        return Tensor(
            name=name,
            dtype=dtype,
            shape=shape,
            load=partial(numbers_of, tensor, self.path),
            place=None if outside is None else (outside.path, outside.offset),
            stored_bytes=len(tensor.raw_data) or packed_bytes(dtype, shape),
        )

    def _sparse(self, sparse: Any, name: str) -> Tensor:
        values, indices = (self._constant(each, name) for each in (sparse.values, sparse.indices))
        shape = tuple(int(size) for size in sparse.dims)
        return Tensor(
            name=name,
            dtype=values.dtype,
            shape=shape,
            load=partial(_dense, values, indices, shape),
            stored_bytes=(values.stored_bytes or 0) + (indices.stored_bytes or 0),
        )


def _dense(values: Tensor, indices: Tensor, shape: tuple[int, ...]) -> Array:
    """The numbers of a sparse tensor, zeros included; indices are flat, or one row a number."""
    assert values.load is not None
    assert indices.load is not None
    numbers, places = np.asarray(values.load()), np.asarray(indices.load())
    found: Array = np.zeros(shape, numbers.dtype)
    if places.ndim == 1:
        found.reshape(-1)[places] = numbers
    else:
        found[tuple(places.T)] = numbers
    return found


def _numbers(attributes: Iterable[Any], *, texts: bool = False) -> dict[str, Any]:
    """The attributes that are numbers or lists of numbers; texts too where they are asked for."""
    from onnx import AttributeProto, helper

    plain = {AttributeProto.INT, AttributeProto.INTS, AttributeProto.FLOAT, AttributeProto.FLOATS}
    plain |= {AttributeProto.STRING, AttributeProto.STRINGS} if texts else set()
    return {each.name: helper.get_attribute_value(each) for each in attributes if each.type in plain}


def _described(value: Any) -> Tensor:
    tensor = value.type.tensor_type
    shape = _sizes(tensor) if tensor.HasField("shape") else None
    return Tensor(name=value.name, dtype=dtype_name(tensor.elem_type), shape=shape)


def tensor_spec(value: Any) -> TensorSpec:
    """What a ValueInfoProto says of a tensor; sizes that it leaves open are free from 1 on."""
    shape = _sizes(value.type.tensor_type)
    return TensorSpec(
        name=value.name,
        dtype=dtype_name(value.type.tensor_type.elem_type),
        shape=shape,
        bounds=tuple((1, None) if size is None else (size, size) for size in shape),
    )


def _sizes(tensor: Any) -> tuple[int | None, ...]:
    return tuple(int(dim.dim_value) if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
