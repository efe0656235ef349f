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
from typing import Any

import numpy.typing as npt

from pocketrec.convert.lower.placed import Reserved, pack_bits
from pocketrec.files import write_all
from pocketrec.source.stubs import Stub

Array = npt.NDArray[Any]

_ALIGNMENT = 64
_SENTINEL = 0xDEADBEEF
_HEADER, _RECORD = struct.Struct("<II56x"), struct.Struct("<IIQQQ32x")
_DTYPES = {"fp16": (1, 16), "float": (2, 32), "uint8": (3, 8), "int8": (4, 8), "int16": (6, 16)}
_DTYPES |= {"uint16": (7, 16), "int4": (8, 4), "uint1": (9, 1), "uint2": (10, 2), "uint4": (11, 4)}
_DTYPES |= {"uint3": (12, 3), "uint6": (13, 6), "int32": (14, 32), "uint32": (15, 32)}


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
