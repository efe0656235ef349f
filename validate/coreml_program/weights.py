"""weight.bin, memory-mapped: only what is touched is read.

A file is a 64-byte header, then blobs. A value refers to a 64-byte metadata record:
sentinel (u4), data type (u4), size in bytes (u8), offset of the data (u8), padding in bits (u8).
Source: the MILBlob storage format, version 2, as coremltools writes it.
"""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path

import numpy as np

from pocketrec.errors import ArtifactError
from pocketrec.outside import open_file
from pocketrec.validate.coreml_program.values import BITS, Array, numpy_dtype, unpack

_SENTINEL = 0xDEADBEEF
_RECORD = struct.Struct("<IIQQQ")
_BLOB_DTYPES = {
    1: "float16",
    2: "float32",
    3: "uint8",
    4: "int8",
    6: "int16",
    7: "uint16",
    8: "int4",
    9: "uint1",
    10: "uint2",
    11: "uint4",
    12: "uint3",
    13: "uint6",
    14: "int32",
    15: "uint32",
}


class WeightFile:
    """One weight.bin; `read` gives views into the mapped file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with open_file(path) as file:
                self._bytes = np.asarray(np.memmap(file, dtype=np.uint8, mode="r"))
        except (OSError, ValueError) as error:
            raise ArtifactError(
                f"{path}: cannot be read ({error}); build or pull the package again"
            ) from None

    def read(self, offset: int, dtype: str, shape: tuple[int, ...]) -> Array:
        """The blob whose record is at `offset`; a view, except for integers of fewer than 8 bits.

        Raises:
            ArtifactError: file, offset, what is there and what the program declares.
        """
        start, needed = self.check(offset, dtype, shape)
        raw = self._bytes[start : start + needed]
        if dtype in BITS:
            return unpack(raw, dtype, prod(shape)).reshape(shape)
        return raw.view(numpy_dtype(dtype)).reshape(shape)

    def check(self, offset: int, dtype: str, shape: tuple[int, ...]) -> tuple[int, int]:
        """Where the blob's bytes begin and how many they are; raises as `read` does, and reads none."""
        found, size, start = self._record(offset)
        if found != dtype and not (dtype == "bool" and found == "uint8"):
            raise self._broken(offset, f"holds {found}, the program declares {dtype}")
        count = prod(shape)
        needed = -(-count * BITS[dtype] // 8) if dtype in BITS else count * numpy_dtype(dtype).itemsize
        if size < needed:
            raise self._broken(offset, f"holds {size} bytes, the program declares {needed}")
        if start + needed > len(self._bytes):
            raise self._broken(offset, f"ends at byte {start + needed} of a file of {len(self._bytes)} bytes")
        return start, needed

    def _record(self, offset: int) -> tuple[str, int, int]:
        end = offset + _RECORD.size
        if end > len(self._bytes):
            raise self._broken(offset, f"lies beyond the file's {len(self._bytes)} bytes")
        sentinel, dtype, size, start, _ = _RECORD.unpack(self._bytes[offset:end].tobytes())
        if sentinel != _SENTINEL:
            raise self._broken(offset, f"begins with {sentinel:#x}, expected {_SENTINEL:#x}")
        if dtype not in _BLOB_DTYPES:
            raise self._broken(offset, f"has the unknown data type {dtype}")
        return _BLOB_DTYPES[dtype], size, start

    def _broken(self, offset: int, what: str) -> ArtifactError:
        return ArtifactError(f"{self.path}: blob at {offset} {what}; build or pull the package again")
