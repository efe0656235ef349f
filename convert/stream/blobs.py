"""weight.bin in the MILBlob format, version 2, laid out at once and written later.

    header (64 bytes)   count (u4), version (u4)
    per blob            a record of 64 bytes, then the data; both begin at multiples of 64
    record              sentinel (u4), data type (u4), size in bytes (u8), offset of the data (u8),
                        padding in bits (u8)

Source: the MILBlob storage format as coremltools' `_BlobStorageWriter` writes it; the bytes are the same.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.convert.stream.stub import Stub

Array = npt.NDArray[Any]

_ALIGNMENT = 64
_SENTINEL = 0xDEADBEEF
_HEADER, _RECORD = struct.Struct("<II56x"), struct.Struct("<IIQQQ32x")
_DTYPES = {"fp16": (1, 16), "float": (2, 32), "uint8": (3, 8), "int8": (4, 8), "int16": (6, 16)}
_DTYPES |= {"uint16": (7, 16), "int4": (8, 4), "uint1": (9, 1), "uint2": (10, 2), "uint4": (11, 4)}
_DTYPES |= {"uint3": (12, 3), "uint6": (13, 6), "int32": (14, 32), "uint32": (15, 32)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """A stub's place in a file.

    Attributes:
        offset: of its first byte.
        stub: what is to be written there.
        bits: of one element; below 8 they are packed without gaps, the lowest bits first.
    """

    offset: int
    stub: Stub
    bits: int


class BlobLayout:
    """The blobs of one weight.bin in order: arrays to be written, and the places kept for tables.

    Stands in for coremltools' `_BlobStorageWriter`: `write_<type>_data` gives a record's offset.
    """

    def __init__(self) -> None:
        self.reserved: list[Reserved] = []
        self._pieces: list[tuple[int, bytes | Array]] = []
        self._end, self._count = _HEADER.size, 0

    def __getattr__(self, name: str) -> Any:
        kind = name.removeprefix("write_").removesuffix("_data")
        if name != f"write_{kind}_data" or kind not in _DTYPES:
            raise AttributeError(name)
        return lambda values: self.add(values, kind)

    def add(self, values: Array, kind: str) -> int:
        """The offset of the record of a new blob."""
        dtype, bits = _DTYPES[kind]
        size = -(-values.size * bits // 8)
        record = -(-self._end // _ALIGNMENT) * _ALIGNMENT
        start = record + _RECORD.size
        padding = size * 8 - values.size * bits
        self._pieces.append((record, _RECORD.pack(_SENTINEL, dtype, size, start, padding)))
        if isinstance(values, Stub):
            self.reserved.append(Reserved(offset=start, stub=values, bits=bits))
        else:
            self._pieces.append((start, pack_bits(values, bits)))
        self._end, self._count = start + size, self._count + 1
        return record

    @property
    def size_bytes(self) -> int:
        """Of the whole file."""
        return self._end

    def write(self, file: int) -> None:
        """Writes everything but the tables to an open file descriptor."""
        os.pwrite(file, _HEADER.pack(self._count, 2), 0)
        for offset, piece in self._pieces:
            write_all(file, piece, offset)


def pack_bits(values: Array, bits: int) -> Array:
    """The values' bytes; integers below 8 bits without gaps, the lowest bits first."""
    flat = np.ascontiguousarray(values).reshape(-1)
    if bits >= 8:
        return flat.view(np.uint8)
    whole = flat.view(np.uint8)
    if 8 % bits == 0:
        per_byte = 8 // bits
        padded = np.zeros(-(-len(whole) // per_byte) * per_byte, np.uint8)
        np.bitwise_and(whole, (1 << bits) - 1, out=padded[: len(whole)])
        packed = padded[::per_byte].copy()
        for place in range(1, per_byte):
            packed |= padded[place::per_byte] << np.uint8(bits * place)
        return packed
    flags = np.unpackbits(whole[:, None], axis=1, count=bits, bitorder="little")
    return np.packbits(flags.ravel(), bitorder="little")


def write_all(file: int, data: bytes | memoryview | Array, offset: int) -> None:
    """Writes all of `data` at `offset`; one call may write less than it is given."""
    view = memoryview(data.data if isinstance(data, np.ndarray) else data).cast("B")
    while len(view):
        done = os.pwrite(file, view, offset)
        view, offset = view[done:], offset + done
