"""MIL data types as NumPy's, and the two forms in which the interpreter holds numbers.

Between ops, fp16 tensors are float32 arrays whose every number is a float16 number: kernels
compute in float32 and the executor rounds each result, which is float16 storage with float32
accumulation. Integers below 8 bits are int8 or uint8. All other types are NumPy's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pocketrec.errors import UnsupportedOp

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
    """NumPy's dtype for storage of a MIL dtype; sub-byte integers take a byte. UnsupportedOp for others."""
    if dtype in BITS:
        return np.dtype("int8" if dtype.startswith("int") else "uint8")
    try:
        return np.dtype(dtype)
    except TypeError:
        raise UnsupportedOp(f"data type {dtype!r} is not supported; use the Core ML framework") from None


def widen(array: Array) -> Array:
    """The array as kernels take it: float16 becomes float32, all else stays."""
    return array.astype(np.float32) if array.dtype == np.float16 else array


_EXPONENT = np.uint32(0x7F800000)  # of a float32's bits: what is left is its power of two
_SIGN = np.uint32(0x80000000)
_SMALLEST, _LARGEST = np.float32(2.0**-14), np.float32(2.0**15)  # powers of two of float16's normal numbers
_SHIFT = np.float32(1.5 * 2**13)
_FEW = 256  # below this many numbers NumPy's own cast is as fast


def round_to_float16(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Every number rounded to the nearest float16, ties to even, as float32; NumPy's cast bit for bit.

    The sum of a number and 1.5 · 2^13 times its own power of two (at least the smallest normal one)
    has float16's step for its last bit, so float32's own addition does the rounding, subnormals
    included. Numbers from 2^15 on, infinities and NaN among them, go through the cast.
    """
    if array.size < _FEW:
        return array.astype(np.float16).astype(np.float32)
    powers = (array.view(np.uint32) & _EXPONENT).view(np.float32)
    large = powers >= _LARGEST if powers.max() >= _LARGEST else None
    np.maximum(powers, _SMALLEST, out=powers)
    powers *= _SHIFT
    rounded = array + powers
    rounded -= powers
    signs = array.view(np.uint32) & _SIGN
    np.bitwise_or(rounded.view(np.uint32), signs, out=rounded.view(np.uint32))  # what became zero has lost it
    if large is not None:
        rounded[large] = array[large].astype(np.float16)
    return rounded


def settle(value: object, dtype: str) -> Array:
    """A kernel's result as a tensor of the declared dtype: rounded to float16, wrapped to integers."""
    array = np.asarray(value)
    if dtype == "float16":
        if array.dtype == np.float16:
            return array.astype(np.float32)
        return round_to_float16(array if array.dtype == np.float32 else array.astype(np.float32))
    wanted = numpy_dtype(dtype) if dtype != "string" else array.dtype
    if array.dtype == wanted:
        return array
    if array.dtype.kind == "f" and wanted.kind in "iu":
        return array.astype(np.int64).astype(wanted)  # truncates, then wraps
    return array.astype(wanted)


_UNPACKED = 1 << 20  # codes at a time, a multiple of 8, so that each part begins with a byte


def unpack(raw: npt.NDArray[np.uint8], dtype: str, count: int) -> Array:
    """`count` integers of fewer than 8 bits from their packed bytes, least significant bit first."""
    bits, values = BITS[dtype], np.empty(count, np.uint8)
    for start in range(0, count, _UNPACKED):
        part = values[start : start + _UNPACKED]
        planes = np.unpackbits(raw[start * bits // 8 :], bitorder="little", count=len(part) * bits)
        planes = np.pad(planes.reshape(-1, bits), ((0, 0), (0, 8 - bits)))
        part[:] = np.packbits(planes, axis=1, bitorder="little")[:, 0]
    if dtype == "int4":
        values ^= 8
        signed = values.view(np.int8)
        signed -= 8
        return signed
    return values
