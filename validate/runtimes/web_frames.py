"""Tensors as bytes between this process and a page: a header in JSON, then each tensor's own bytes.

    4 bytes     length of the header, little-endian
    header      [{"name", "dtype", "shape"}, …] in UTF-8
    tensors     in the header's order, in rows, little-endian; each begins at a multiple of 8

`web_page.mjs` holds the same format for the other side.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

import numpy as np

from pocketrec.errors import ExecutionError
from pocketrec.validate.runtimes.runtime import Array

# NumPy's names of what a page has a typed array for.
DTYPES = frozenset({"float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool"})


def to_frame(arrays: Mapping[str, Array]) -> bytes:
    """The arrays as one frame, their names in order; dtypes are of `DTYPES`."""
    parts = {name: np.ascontiguousarray(each, each.dtype.newbyteorder("<")) for name, each in arrays.items()}
    header = json.dumps(
        [
            {"name": name, "dtype": arrays[name].dtype.name, "shape": list(arrays[name].shape)}
            for name in parts
        ]
    ).encode()
    return b"".join(
        _aligned([len(header).to_bytes(4, "little") + header, *(p.tobytes() for p in parts.values())])
    )


def _aligned(pieces: Iterable[bytes]) -> Iterable[bytes]:
    for each in pieces:
        yield each
        yield bytes(-len(each) % 8)


def from_frame(data: bytes) -> dict[str, Array]:
    """The arrays of a frame by name; ExecutionError where it is none."""
    try:
        length = int.from_bytes(data[:4], "little")
        entries: list[dict[str, Any]] = json.loads(data[4 : 4 + length])
        place, found = _next(4 + length), {}
        for each in entries:
            if each["dtype"] not in DTYPES:
                raise ValueError(each["dtype"])
            dtype, count = np.dtype(each["dtype"]), prod(each["shape"])
            found[each["name"]] = np.frombuffer(data, dtype, count, place).reshape(each["shape"]).copy()
            place = _next(place + count * dtype.itemsize)
    except (ValueError, KeyError, TypeError) as error:
        raise ExecutionError(f"the page's answer is no frame of tensors ({error}); run it again") from None
    return found


def _next(place: int) -> int:
    return place + -place % 8
