"""Where tensors lie in a file, as far as it is known: a hint, which makes records smaller, never wrong.

.onnx       initializers with their bytes in the file, and those beside it      onnx.proto
weight.bin  a storage of Core ML's: blobs with a head each                      MILBlob/StorageFormat.hpp
.safetensors  a table of names and places, then the bytes
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from pocketrec.outside import exists, read_file
from pocketrec.package.delta.rows import HALVES
from pocketrec.package.delta.varints import Bytes

_LEAST = 512  # bytes: what is smaller is edited with what is around it
_ONNX_WIDTHS = {1: 4, 4: 2, 5: 2, 6: 4, 7: 8, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2, 21: HALVES, 22: HALVES}
_BLOB_WIDTHS = {1: 2, 2: 4, 5: 2, 6: 2, 7: 2, 8: HALVES, 11: HALVES, 14: 4, 15: 4}
_SENTINEL = 0xDEADBEEF
_GRAPH, _INITIALIZER = 7, 5
_LARGEST_ONNX = 1 << 28  # bytes of a file that is walked in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A tensor's bytes in a file.

    Attributes:
        name: the same in both files.
        start: first byte.
        end: after the last.
        width: bytes of a number, or HALVES.
        row: bytes of a row; 0 where nobody says.
    """

    name: str
    start: int
    end: int
    width: int
    row: int = 0


def parts_of(path: Path, data: Bytes) -> tuple[Part, ...]:
    """The tensors in a file, by their places; none where it is of no known kind, or damaged.

    Args:
        path: of the file, by whose name its kind is told; what is beside it may tell of it.
        data: its bytes.
    """
    try:
        found = sorted(_parts(path, data), key=lambda each: each.start)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, struct.error, RecursionError):
        return ()
    return tuple(
        each for each in found if 0 <= each.start <= each.end <= len(data) and each.end - each.start >= _LEAST
    )


def _parts(path: Path, data: Bytes) -> Iterator[Part]:
    if path.suffix == ".onnx":
        yield from (part for place, part in _onnx(data.data) if not place)
    elif path.name.endswith(".onnx.data") and exists(model := path.with_suffix("")):
        text = memoryview(read_file(model, largest=_LARGEST_ONNX))
        yield from (part for place, part in _onnx(text) if place == path.name)
    elif path.name == "weight.bin":
        yield from _blobs(data.data)
    elif path.suffix == ".safetensors":
        yield from _safetensors(data.data)


def _onnx(data: memoryview) -> Iterator[tuple[str, Part]]:
    """The initializers of a ModelProto, each with the file that its bytes are in; empty for this one."""
    for field, start, end in _fields(data, 0, len(data)):
        if field == _GRAPH:
            for inner, first, last in _fields(data, start, end):
                if inner == _INITIALIZER:
                    yield from _initializer(data, first, last)


def _initializer(data: memoryview, start: int, end: int) -> Iterator[tuple[str, Part]]:
    """An initializer: dims = 1, data_type = 2, name = 8, raw_data = 9, external_data = 13."""
    dims: list[int] = []
    kind, name, raw, outside = 0, "", None, {}
    for field, first, last in _fields(data, start, end):
        if field == 1:
            dims += _packed(data, first, last)
        elif field == 2:
            kind = _packed(data, first, last)[0]
        elif field == 8:
            name = bytes(data[first:last]).decode()
        elif field == 9:
            raw = (first, last)
        elif field == 13:
            pair = {inner: bytes(data[a:b]).decode() for inner, a, b in _fields(data, first, last)}
            outside[pair[1]] = pair[2]
    width = _ONNX_WIDTHS.get(kind, 1)
    if raw is None and "length" in outside:
        raw = (int(outside.get("offset", 0)), int(outside.get("offset", 0)) + int(outside["length"]))
    if raw is not None and raw[1] > raw[0]:
        rows = prod(dims[:1])
        size = raw[1] - raw[0]
        row = size // rows if rows and size % rows == 0 else 0
        yield outside.get("location", ""), Part(name=name, start=raw[0], end=raw[1], width=width, row=row)


def _fields(data: memoryview, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Field, first byte and end of each value of a protobuf message; ValueError where it is none."""
    while at < end:
        tag, at = _varint(data, at)
        field, kind = tag >> 3, tag & 7
        if kind == 0:
            _, stop = _varint(data, at)
        elif kind == 2:
            size, at = _varint(data, at)
            stop = at + size
        elif kind in (1, 5):
            stop = at + (8 if kind == 1 else 4)
        else:
            raise ValueError("no protobuf message")
        if stop > end:
            raise ValueError("no protobuf message")
        yield field, at, stop
        at = stop


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80 or shift > 63:
            return value, at


def _packed(data: memoryview, at: int, end: int) -> list[int]:
    found = []
    while at < end:
        value, at = _varint(data, at)
        found.append(value)
    return found


def _blobs(data: memoryview) -> Iterator[Part]:
    """The blobs of a storage: a head of 64 bytes each that says type, size and place; by type and turn."""
    count = struct.unpack_from("<I", data)[0]
    at, numbers = 64, dict[tuple[int, int], int]()
    for _ in range(count):
        sentinel, kind, size, start = struct.unpack_from("<IIQQ", data, at)
        if sentinel != _SENTINEL or start < at + 64:
            raise ValueError("no storage of Core ML's")
        turn = numbers[kind, 0] = numbers.get((kind, 0), 0) + 1
        yield Part(name=f"{kind}/{turn}", start=start, end=start + size, width=_BLOB_WIDTHS.get(kind, 1))
        at = -(-(start + size) // 64) * 64


def _safetensors(data: memoryview) -> Iterator[Part]:
    """The tensors of the table at its beginning."""
    size = struct.unpack_from("<Q", data)[0]
    table: dict[str, Any] = json.loads(bytes(data[8 : 8 + min(size, len(data))]))
    for name, each in table.items():
        if name != "__metadata__":
            start, end = each["data_offsets"]
            bits = [int(digit) for digit in ("64", "32", "16", "8") if str(each["dtype"]).endswith(digit)]
            width = (bits or [8])[0] // 8
            rows = prod(each["shape"][:1])
            row = (end - start) // rows if rows and (end - start) % rows == 0 else 0
            yield Part(name=name, start=8 + size + start, end=8 + size + end, width=width, row=row)
