"""MIL data types as NumPy's, and the two forms in which the interpreter holds numbers.

Between ops, fp16 tensors are float32 arrays whose every number is a float16 number: kernels
compute in float32 and the executor rounds each result, which is float16 storage with float32
accumulation. Integers below 8 bits are int8 or uint8. All other types are NumPy's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]

# MIL.proto's DataType. Sub-byte integers are held in a byte each.
DTYPES: dict[int, str] = {
    1: "bool",
    2: "string",
    10: "float16",
    11: "float32",
    12: "float64",
    21: "int8",
    22: "int16",
    23: "int32",
    24: "int64",
    25: "int4",
    31: "uint8",
    32: "uint16",
    33: "uint32",
    34: "uint64",
    35: "uint4",
    36: "uint2",
    37: "uint1",
    38: "uint6",
    39: "uint3",
}
BITS = {"int4": 4, "uint4": 4, "uint2": 2, "uint1": 1, "uint6": 6, "uint3": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueType:
    """A declared type: `tensor`, `list` or `state`; a size of None is only known when it runs."""

    dtype: str
    shape: tuple[int | None, ...] = ()
    form: str = "tensor"


def numpy_dtype(dtype: str) -> np.dtype[np.generic]:
    """NumPy's dtype for storage of a MIL dtype; sub-byte integers take a byte."""
    if dtype in BITS:
        return np.dtype("int8" if dtype.startswith("int") else "uint8")
    return np.dtype(dtype)


def widen(array: Array) -> Array:
    """The array as kernels take it: float16 becomes float32, all else stays."""
    return array.astype(np.float32) if array.dtype == np.float16 else array


# Bit patterns of float32: the smallest normal float16, and the span up to what rounds to infinity.
_SMALLEST = np.uint32(0x38800000)
_SPAN = np.uint32(0x477FF000 - 0x38800000)
_FEW = 2048  # below this many numbers NumPy's own cast is as fast


def round_to_float16(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Every number rounded to the nearest float16, ties to even, as float32; NumPy's cast bit for bit.

    Numbers that are normal in float16 are rounded on their bits, which is several times as fast;
    the others (zeros, subnormals, overflows, NaN) go through the cast.
    """
    if array.size < _FEW:
        return array.astype(np.float16).astype(np.float32)
    array = np.ascontiguousarray(array)
    bits = array.view(np.uint32)
    rounded = bits >> 13
    rounded &= 1
    rounded += bits
    rounded += 0xFFF
    rounded &= 0xFFFFE000
    distance = bits & 0x7FFFFFFF
    distance -= _SMALLEST
    others = np.flatnonzero(distance >= _SPAN)
    result = rounded.view(np.float32)
    if others.size:
        result.reshape(-1)[others] = array.reshape(-1)[others].astype(np.float16)
    return result


def settle(value: object, dtype: str) -> Array:
    """A kernel's result as a tensor of the declared dtype: rounded to float16, wrapped to integers."""
    array = np.asarray(value)
    if dtype == "float16":
        return round_to_float16(array if array.dtype == np.float32 else array.astype(np.float32))
    wanted = numpy_dtype(dtype) if dtype != "string" else array.dtype
    if array.dtype == wanted:
        return array
    if array.dtype.kind == "f" and wanted.kind in "iu":
        return array.astype(np.int64).astype(wanted)  # truncates, then wraps
    return array.astype(wanted)


def unpack(raw: npt.NDArray[np.uint8], dtype: str, count: int) -> Array:
    """`count` integers of fewer than 8 bits from their packed bytes, least significant bit first."""
    bits = BITS[dtype]
    planes = np.unpackbits(raw, bitorder="little")[: count * bits].reshape(count, bits)
    values = np.packbits(np.pad(planes, ((0, 0), (0, 8 - bits))), axis=1, bitorder="little")[:, 0]
    if dtype == "int4":
        return ((values ^ 8).astype(np.int8) - np.int8(8)).astype(np.int8)
    return values
