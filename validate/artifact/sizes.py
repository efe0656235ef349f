"""What an artifact holds, read from its file alone: tensors, bytes, ops, inputs and outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, prod
from pathlib import Path
from typing import Any

from pocketrec.errors import UsageError
from pocketrec.outside import exists
from pocketrec.report import TensorSize
from pocketrec.validate.artifact.onnx_file import all_nodes, all_tensors, external_data, load_onnx
from pocketrec.validate.artifact.stored import StoredTensor, of_nodes, of_operations, stated
from pocketrec.validate.runtimes.coreml_proto import proto
from pocketrec.validate.runtimes.coreml_spec import (
    describe_io,
    functions_of,
    load_spec,
    op_values,
    operations,
)
from pocketrec.validate.runtimes.runtime import TensorSpec

_BITS = {"4": 4, "2": 2, "1": 1, "8": 8, "16": 16, "32": 32, "64": 64, "6": 6, "3": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactDescription:
    """What `pocketrec inspect` shows of an artifact.

    Attributes:
        format: `onnx` or `coreml`.
        version: opset, or the Core ML specification's version.
        inputs: in the artifact's order.
        outputs: in the artifact's order.
        op_counts: op to how often it stands in the program, most frequent first; constants left out.
        tensors: stored tensors, largest first.
        compressed: the tensors that are stored compressed, largest first.
        metadata: the artifact's own key-value pairs.
        size_bytes: on disk, external data included.
    """

    path: str
    format: str
    version: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    op_counts: Mapping[str, int]
    tensors: tuple[TensorSize, ...]
    compressed: tuple[StoredTensor, ...]
    metadata: Mapping[str, str]
    size_bytes: int


def artifact_bytes(path: str | Path) -> int:
    """Bytes on disk of a file with its external data, or of a folder."""
    path = Path(path)
    if not exists(path):
        raise UsageError(f"{path}: no such artifact")
    if path.is_dir():
        return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
    held = map(partial(external_data, path=path), all_tensors(load_onnx(path)) if _is_onnx(path) else ())
    beside = {each.path for each in held if each is not None}
    return path.stat().st_size + sum(each.stat().st_size for each in beside)


def tensor_sizes(path: str | Path) -> tuple[TensorSize, ...]:
    """The stored tensors of a .onnx file or an .mlpackage, largest first, ties by name."""
    path = Path(path)
    found = _onnx_tensors(load_onnx(path)) if _is_onnx(path) else _mil_tensors(load_spec(path))
    return tuple(sorted(found, key=lambda each: (-each.size_bytes, each.name)))


def describe_artifact(path: str | Path) -> ArtifactDescription:
    """Inputs, outputs, ops, bytes per tensor and metadata, without loading any engine."""
    path = Path(path)
    return _describe_onnx(path) if _is_onnx(path) else _describe_coreml(path)


def _is_onnx(path: Path) -> bool:
    if path.suffix not in (".onnx", ".mlpackage", ".mlmodel"):
        raise UsageError(f"{path}: suffix {path.suffix!r} is unknown; expected .onnx, .mlpackage or .mlmodel")
    return path.suffix == ".onnx"


def _describe_onnx(path: Path) -> ArtifactDescription:
    model = load_onnx(path)
    stored = {each.name for each in model.graph.initializer}
    said = {each.key: each.value for each in model.metadata_props}
    constants = {
        each.name: (tuple(each.dims), _onnx_tensor(each, each.name).size_bytes)
        for each in model.graph.initializer
    }
    ops = Counter(node.op_type for node in all_nodes(model.graph.node) if node.op_type != "Constant")
    return ArtifactDescription(
        path=str(path),
        format="onnx",
        version="opset " + ", ".join(str(each.version) for each in model.opset_import if not each.domain),
        inputs=tuple(_onnx_spec(each) for each in model.graph.input if each.name not in stored),
        outputs=tuple(_onnx_spec(each) for each in model.graph.output),
        op_counts=dict(ops.most_common()),
        tensors=tensor_sizes(path),
        compressed=stated(said) or of_nodes(all_nodes(model.graph.node), constants),
        metadata=said,
        size_bytes=artifact_bytes(path),
    )


def _describe_coreml(path: Path) -> ArtifactDescription:
    spec = load_spec(path)
    inputs, outputs = _all_functions(spec)
    metadata = dict(spec.description.metadata.userDefined)
    ops = Counter(op.type for op in operations(spec) if op.type != "const")
    return ArtifactDescription(
        path=str(path),
        format="coreml",
        version=f"specification {spec.specificationVersion}",
        inputs=inputs,
        outputs=outputs,
        op_counts=dict(ops.most_common()),
        tensors=tensor_sizes(path),
        compressed=stated(metadata) or of_operations(operations(spec), _op_tensors),
        metadata=metadata,
        size_bytes=artifact_bytes(path),
    )


def _all_functions(spec: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs of all functions, called `function/name` where there are several."""
    functions = functions_of(spec)
    if not functions:
        return describe_io(spec)[:2]
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    for function in functions:
        taken, given, _ = describe_io(spec, function)
        inputs += tuple(replace(each, name=f"{function}/{each.name}") for each in taken)
        outputs += tuple(replace(each, name=f"{function}/{each.name}") for each in given)
    return inputs, outputs


def _onnx_tensors(model: Any) -> Iterator[TensorSize]:
    for tensor in model.graph.initializer:
        yield _onnx_tensor(tensor, tensor.name)
    for node in all_nodes(model.graph.node):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield _onnx_tensor(attribute.t, next(iter(node.output), node.op_type))


def _onnx_tensor(tensor: Any, name: str) -> TensorSize:
    import onnx

    dtype = onnx.TensorProto.DataType.Name(tensor.data_type).lower()
    dtype = str({"float": "float32", "double": "float64"}.get(dtype, dtype))
    shape = tuple(tensor.dims)
    size = len(tensor.raw_data) or stored_bytes(dtype, shape)
    return TensorSize(name=name, dtype=dtype, shape=shape, size_bytes=size)


def _onnx_spec(value: Any) -> TensorSpec:
    import onnx

    tensor = value.type.tensor_type
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
    dtype = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
    dtype = str({"float": "float32", "double": "float64"}.get(dtype, dtype))
    bounds = tuple((1, None) if size is None else (size, size) for size in shape)
    return TensorSpec(name=value.name, dtype=dtype, shape=shape, bounds=bounds)


def _mil_tensors(spec: Any) -> Iterator[TensorSize]:
    """Every stored tensor; one that several constants or functions share counts once."""
    blobs: set[tuple[str, int]] = set()
    for op in operations(spec):
        for value, name in op_values(op):
            if value.WhichOneof("value") == "blobFileValue":
                place = value.blobFileValue.fileName, value.blobFileValue.offset
                if place in blobs:
                    continue
                blobs.add(place)
            yield from _mil_value(value, name)


def _op_tensors(op: Any) -> Iterator[TensorSize]:
    for value, name in op_values(op):
        yield from _mil_value(value, name)


def _mil_value(value: Any, name: str) -> Iterator[TensorSize]:
    if not value.type.HasField("tensorType"):
        return
    kind = value.type.tensorType
    dtype = proto("MIL_pb2").DataType.Name(kind.dataType).lower()
    if dtype == "string":
        return
    shape = tuple(int(each.constant.size) for each in kind.dimensions)
    yield TensorSize(name=name, dtype=dtype, shape=shape, size_bytes=stored_bytes(dtype, shape))


def stored_bytes(dtype: str, shape: tuple[int, ...]) -> int:
    """Bytes of a tensor with packed elements; float8 and bool take one byte."""
    if dtype.startswith("float8") or dtype == "bool":
        return prod(shape)
    digits = "".join(each for each in dtype if each.isdigit())
    return ceil(prod(shape) * _BITS.get(digits, 8) / 8)
