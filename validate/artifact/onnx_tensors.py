"""What the parts of an ONNX file mean: the numbers of its tensors, their dtypes, and who reads what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pocketrec.errors import ArtifactError
from pocketrec.outside import open_file
from pocketrec.validate.artifact.onnx_file import external_data, nested_graphs
from pocketrec.validate.runtimes.runtime import Array

# The dtypes whose bytes in the file are NumPy's own.
_MAPPED = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64"),
)


def read_from_outside(graph: Any) -> Iterator[str]:
    """The names that a nested graph takes from the graphs around it."""
    own = {each.name for each in (*graph.input, *graph.initializer)}
    for node in graph.node:
        yield from (name for name in read_by(node) if name not in own)
        own.update(node.output)
    yield from (each.name for each in graph.output if each.name not in own)


def read_by(node: Any) -> Iterator[str]:
    """The names that a node reads, those that its nested graphs take from outside among them."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for nested in nested_graphs(attribute):
            yield from read_from_outside(nested)


def numbers_of(tensor: Any, path: Path) -> Array:
    """The numbers of a tensor of the file at `path`; those beside it are mapped where NumPy has their dtype.

    Raises:
        ArtifactError: they are not there, or not as many as its type declares.
    """
    from onnx import numpy_helper

    outside = external_data(tensor, path)
    try:
        if outside is not None and dtype_name(tensor.data_type) in _MAPPED:
            dtype, shape = np.dtype(dtype_name(tensor.data_type)), tuple(tensor.dims)
            with open_file(outside.path) as file:
                return np.memmap(file, dtype=dtype, mode="r", offset=outside.offset, shape=shape)
        array: Array = numpy_helper.to_array(with_bytes(tensor, path))
    except (ValueError, TypeError, OverflowError) as error:
        raise ArtifactError(f"{path.name}: tensor {tensor.name!r}: {error}; build or pull it again") from None
    return array


def with_bytes(tensor: Any, path: Path) -> Any:
    """The TensorProto with its bytes in it, wherever they lie; raises as `external_data` does."""
    import onnx

    outside = external_data(tensor, path)
    if outside is None:
        return tensor
    made = onnx.TensorProto()
    made.CopyFrom(tensor)
    del made.external_data[:]
    made.data_location = onnx.TensorProto.DEFAULT
    with open_file(outside.path) as file:
        file.seek(outside.offset)
        made.raw_data = file.read(outside.length)
    return made


def dtype_name(data_type: int) -> str:
    """NumPy's name of an ONNX data type; empty where it has none."""
    import onnx

    try:
        name = str(onnx.TensorProto.DataType.Name(data_type)).lower()
    except ValueError:
        return ""
    return {"float": "float32", "double": "float64", "undefined": ""}.get(name, name)


def data_type(dtype: str) -> int:
    """ONNX's data type of that name; 0 where it is not known."""
    import onnx

    name = {"float32": "FLOAT", "float64": "DOUBLE"}.get(dtype, dtype.upper())
    return int(onnx.TensorProto.DataType.Value(name)) if name in onnx.TensorProto.DataType.keys() else 0  # noqa: SIM118
