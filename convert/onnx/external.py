"""Large initializers of an ONNX model in a file of their own, so that protobuf's 2 GB are no limit.

The model file refers to `<name>.onnx.data` by offset and length; each tensor begins at a page,
so that a runtime can map it. Tables are streamed to their places.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir
import torch
from onnx import TensorProto, numpy_helper
from torch import Tensor

from pocketrec.convert.lower.placed import Reserved, write_tables
from pocketrec.files import write_all, written_file
from pocketrec.source.stubs import Stub, number_of
from pocketrec.source.tables import Table

LARGE_BYTES = 64 << 20  # an initializer of this size or more does not go into the model file
_ALIGNMENT = 4096  # a page
_PLAIN = (torch.float32, torch.float16, torch.float64, torch.int32, torch.int64, torch.int8, torch.uint8)

Array = npt.NDArray[Any]


def hide_large(model: onnx_ir.Model, *, large_bytes: int = LARGE_BYTES) -> dict[str, Array]:
    """The stubs and the large tables among the initializers, by name; the model serializes without them.

    protobuf copies what it is given, and ends at 2 GB; a table stays the module's own memory instead.
    """
    hidden: dict[str, Array] = {}
    for name, value in model.graph.initializers.items():
        held = getattr(value.const_value, "raw", None)
        array = _hidden(held, large_bytes)
        if array is None or held is None or value.const_value is None:
            continue
        dtype = value.const_value.dtype
        hidden[name] = array
        value.const_value = onnx_ir.ExternalTensor(
            "table", 0, array.nbytes, dtype, shape=onnx_ir.Shape(held.shape), name=name
        )
    return hidden


def _hidden(held: object, large_bytes: int) -> Array | None:
    """The stub of a streamed table, or a large table's values; None for what the model file may hold."""
    if not isinstance(held, Tensor):
        return None
    number = number_of(held)
    if number is not None:
        return Stub.table(number, tuple(held.shape), str(held.dtype).removeprefix("torch."))
    if held.ndim < 2 or held.dtype not in _PLAIN or held.numel() * held.itemsize < large_bytes:
        return None
    array: Array = held.detach().contiguous().numpy()
    return array


def array_of(tensor: TensorProto, hidden: Mapping[str, Array]) -> Any:
    """The initializer's values, or the stub that is known under its name."""
    return hidden[tensor.name] if tensor.name in hidden else numpy_helper.to_array(tensor)


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
    hidden: Mapping[str, Array],
    tables: Sequence[Table],
    *,
    large_bytes: int = LARGE_BYTES,
    alignment: int = _ALIGNMENT,
) -> None:
    """Writes the model to `path`, and what is large beside it to `<path>.data`.

    Raises:
        TableError: a table holds a number that cannot be stored.
        StorageError: there is no room.
    """
    layout = _Layout(alignment)
    stubs = {name: each for name, each in hidden.items() if isinstance(each, Stub)}
    for each in model.graph.initializer:
        held = hidden.get(each.name)
        if held is not None:  # where `hide_large` said that it lies
            del each.external_data[:]
            each.ClearField("data_location")
        if (held.nbytes if held is not None else len(each.raw_data)) >= large_bytes:
            layout.add(each, held, f"{path.name}.data")
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

    def __init__(self, alignment: int) -> None:
        self.end, self._alignment = 0, alignment
        self.reserved: list[Reserved] = []
        self.pieces: list[tuple[int, bytes | memoryview]] = []

    def add(self, tensor: TensorProto, held: Array | None, location: str) -> None:
        """A place for an initializer, which from now on refers to it."""
        if isinstance(held, Stub):
            start, size = self.reserve(held), held.nbytes
        else:
            piece = tensor.raw_data if held is None else held.data.cast("B")
            start, size = self._next(len(piece)), len(piece)
            self.pieces.append((start, piece))
        _refer(tensor, location, start, size)

    def reserve(self, stub: Stub) -> int:
        """The offset of a place for a stub's rows."""
        start = self._next(stub.nbytes)
        self.reserved.append(Reserved(offset=start, stub=stub, bits=8 * stub.itemsize))
        return start

    def _next(self, size: int) -> int:
        start = -(-self.end // self._alignment) * self._alignment
        self.end = start + size
        return start


def _refer(tensor: TensorProto, location: str, offset: int, length: int) -> None:
    tensor.ClearField("raw_data")
    del tensor.external_data[:]
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
