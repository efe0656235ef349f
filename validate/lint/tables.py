"""Hazards of stored tables: compression that skipped one, and tables that are stored twice."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator

import numpy as np

from pocketrec.validate.artifact.graph import Graph, Tensor
from pocketrec.validate.coreml_program.values import Array
from pocketrec.validate.lint.finding import Hit, Rule

_SMALLEST = 2_048  # elements; coremltools leaves smaller tensors alone by default
_CHUNK_ROWS = 8_192
_FLOATS = ("float16", "float32", "float64", "bfloat16")
_PACKED = ("int8", "uint8", "int4", "uint4", "uint1", "uint2", "uint3", "uint6")
# Ops that only compression puts into a graph.
_COMPRESSION = (
    *("constexpr_affine_dequantize", "constexpr_blockwise_shift_scale", "constexpr_lut_to_dense"),
    *("constexpr_sparse_to_dense", "constexpr_lut_to_sparse", "constexpr_sparse_blockwise_shift_scale"),
    *("DequantizeLinear", "DynamicQuantizeLinear", "MatMulNBits", "GatherBlockQuantized", "MatMulInteger"),
)
_COMPRESSORS = ("onnx.quantize", "onnxruntime.quantization", "olive")


def uncompressed_table(graph: Graph) -> Iterator[Hit]:
    """A hit for each float table larger than all that is compressed, in a file that asks for compression."""
    packed = [value for value in graph.constants if value.dtype in _PACKED and value.size >= _SMALLEST]
    asked = packed or any(graph.of_kind(*_COMPRESSION)) or graph.producer in _COMPRESSORS
    largest = max((value.size_bytes for value in packed), default=0)
    for value in _tables(graph) if asked else ():
        if value.dtype in _FLOATS and value.size_bytes > largest:
            message = f"{value.dtype} {_shape(value)}, {value.size_bytes:,} bytes; "
            message += (
                f"the largest compressed tensor has {largest:,}" if packed else "no tensor is compressed"
            )
            yield Hit(severity="warning", place=value.name, message=message)


def duplicate_table(graph: Graph) -> Iterator[Hit]:
    """A hit for each table whose numbers stand in the file a second time, as they are or transposed."""
    groups: dict[tuple[int, ...], list[Tensor]] = {}
    for value in _tables(graph):
        groups.setdefault(tuple(sorted(size or 0 for size in value.shape or ())), []).append(value)
    for alike in groups.values():
        stored: dict[Hashable, Tensor] = {}
        for value in alike:
            stored.setdefault(value.place or value.name, value)  # two names of one place are stored once
        seen: dict[bytes, Tensor] = {}
        for value in stored.values() if len(stored) > 1 else ():
            twin = seen.setdefault(_digest(value), value)
            if twin is not value:
                turned = "" if twin.shape == value.shape else ", transposed"
                message = f"holds the numbers of {twin.name}{turned}: {value.size_bytes:,} bytes again"
                yield Hit(severity="warning", place=value.name, message=message)


def _tables(graph: Graph) -> Iterator[Tensor]:
    """The constants that are tables: at least two dims and as many numbers as compression looks at."""
    for value in graph.constants:
        if len(value.shape or ()) >= 2 and value.size >= _SMALLEST:
            yield value


def _digest(value: Tensor) -> bytes:
    """A digest that is the same for a table, its transpose, and its copy in another float width."""
    assert value.load is not None
    array: Array = value.load()
    if array.ndim != 2:
        return _sha256(array.reshape(array.shape[0], -1)) + bytes(repr(array.shape), "ascii")
    return min(_sha256(array), _sha256(array.T))


def _sha256(rows: Array) -> bytes:
    digest = hashlib.sha256(repr(rows.shape).encode())
    with np.errstate(over="ignore"):
        for start in range(0, rows.shape[0], _CHUNK_ROWS):
            chunk = rows[start : start + _CHUNK_ROWS]
            digest.update(
                np.ascontiguousarray(chunk.astype(np.float16) if chunk.dtype.kind == "f" else chunk).tobytes()
            )
    return digest.digest()


def _shape(value: Tensor) -> str:
    return "×".join(f"{size:,}" for size in value.shape or () if size is not None)


RULES: dict[str, Rule[Graph]] = {
    "uncompressed-table": Rule(
        check=uncompressed_table,
        consequence="the largest part of the file keeps its size, though compression was asked for",
        remedy="choose a block or group size that divides the rows, or per-row scales; check the tool's log",
    ),
    "duplicate-table": Rule(
        check=duplicate_table,
        consequence="tied weights take their bytes twice, on disk and in memory",
        remedy="let both ops read one constant: transpose_y instead of a folded transpose",
    ),
}
