"""Large initializers of an ONNX model in a file of their own, so that protobuf's 2 GB are no limit.

The model file refers to `<name>.onnx.data` by offset and length; each tensor begins at a multiple
of 4096, so that a runtime can map it. Tables are streamed to their places.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir
from onnx import TensorProto, numpy_helper

from pocketrec.convert.stream.blobs import Reserved, write_all
from pocketrec.convert.stream.files import written_file
from pocketrec.convert.stream.stub import Stub, number_of
from pocketrec.convert.stream.tables import Table
from pocketrec.convert.stream.writing import write_tables

LARGE_BYTES = 64 << 20  # an initializer of this size or more does not go into the model file
_ALIGNMENT = 4096


def hide_stubs(model: onnx_ir.Model) -> dict[str, Stub]:
    """The stubs among the initializers, by name; the model then serializes without their values."""
    stubs: dict[str, Stub] = {}
    for name, value in model.graph.initializers.items():
        held = getattr(value.const_value, "raw", None)
        number = number_of(held)
        if number is None or held is None or value.const_value is None:
            continue
        dtype = value.const_value.dtype
        stubs[name] = Stub.table(number, tuple(held.shape), dtype.numpy())
        value.const_value = onnx_ir.ExternalTensor(
            "table", 0, stubs[name].nbytes, dtype, shape=onnx_ir.Shape(held.shape), name=name
        )
    return stubs


def array_of(tensor: TensorProto, stubs: Mapping[str, Stub]) -> Any:
    """The initializer's values, or the stub that is known under its name."""
    return stubs[tensor.name] if tensor.name in stubs else numpy_helper.to_array(tensor)


def tensor_of(value: Any, name: str, stubs: dict[str, Stub]) -> TensorProto:
    """The initializer of an array; that of a stub has no values, and the stub is noted under its name."""
    if not isinstance(value, Stub):
        array = np.ascontiguousarray(value).reshape(np.shape(value))
        return numpy_helper.from_array(array, name)
    stubs[name] = value
    return TensorProto(
        name=name, dims=value.shape, data_type=onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
    )


def save(
    model: onnx.ModelProto,
    path: Path,
    stubs: Mapping[str, Stub],
    tables: Sequence[Table],
    *,
    large_bytes: int = LARGE_BYTES,
) -> None:
    """Writes the model to `path`, and what is large beside it to `<path>.data`.

    Raises:
        TableError: a table holds a number that cannot be stored.
        StorageError: there is no room.
    """
    layout = _Layout()
    for each in model.graph.initializer:
        stub = stubs.get(each.name)
        if stub is not None:  # where `hide_stubs` said that it lies
            del each.external_data[:]
            each.ClearField("data_location")
        if (stub.nbytes if stub is not None else len(each.raw_data)) >= large_bytes:
            layout.add(each, stub, f"{path.name}.data")
    outside = layout.end
    inside = [each for each in model.graph.initializer if each.name in stubs and not each.external_data]
    for each in inside:  # written behind the end, and cut off again
        layout.reserve(stubs[each.name])
    if layout.end:
        with written_file(path.with_name(f"{path.name}.data"), layout.end) as file:
            for offset, piece in layout.pieces:
                write_all(file, piece, offset)
            write_tables(tables, layout.reserved, file)
            for each, place in zip(
                inside, layout.reserved[len(layout.reserved) - len(inside) :], strict=True
            ):
                each.raw_data = os.pread(file, place.stub.nbytes, place.offset)
            os.ftruncate(file, outside)
    if not outside:
        path.with_name(f"{path.name}.data").unlink(missing_ok=True)
    text = model.SerializeToString()
    with written_file(path, len(text)) as file:
        write_all(file, text, 0)


class _Layout:
    """What goes where in the data file."""

    def __init__(self) -> None:
        self.end = 0
        self.reserved: list[Reserved] = []
        self.pieces: list[tuple[int, bytes]] = []

    def add(self, tensor: TensorProto, stub: Stub | None, location: str) -> None:
        """A place for an initializer, which from now on refers to it."""
        if stub is not None:
            start, size = self.reserve(stub), stub.nbytes
        else:
            start, size = self._next(len(tensor.raw_data)), len(tensor.raw_data)
            self.pieces.append((start, tensor.raw_data))
        _refer(tensor, location, start, size)

    def reserve(self, stub: Stub) -> int:
        """The offset of a place for a stub's rows."""
        start = self._next(stub.nbytes)
        self.reserved.append(Reserved(offset=start, stub=stub, bits=8 * stub.itemsize))
        return start

    def _next(self, size: int) -> int:
        start = -(-self.end // _ALIGNMENT) * _ALIGNMENT
        self.end = start + size
        return start


def _refer(tensor: TensorProto, location: str, offset: int, length: int) -> None:
    tensor.ClearField("raw_data")
    del tensor.external_data[:]
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
