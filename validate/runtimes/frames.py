"""Tensors over a pipe, as `pocketrec serve-pipe` reads and writes them; see docs/coreml-linux.md.

    4 bytes     length of the header, little-endian
    header      a JSON object in UTF-8; "tensors" and "states" list {"name", "dtype", "shape", "bytes"}
    tensors     the bytes of each entry of "tensors", then of "states": row-major, little-endian, no gaps

An entry says its bytes beside its shape, so that a reader finds the next frame where it refuses this one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO

import numpy as np

from pocketrec.errors import InputError
from pocketrec.outside import parse_json
from pocketrec.validate.runtimes.runtime import Array

LARGEST_HEADER = 16 << 20  # bytes: far above any real one
LARGEST_TENSORS = 1 << 30  # bytes of all tensors of a frame
_MOST_AXES = 32
_LONGEST_SAID = 100  # letters of a wrong shape
LISTS = ("tensors", "states")
DTYPES = frozenset(
    {"bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"}
    | {"float16", "float32", "float64"}
)


class BrokenFrame(InputError):
    """A frame says of itself what cannot be, so that where the next one begins is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A frame that was read to its end, whether or not its tensors can be used.

    Attributes:
        header: the JSON object.
        parts: the bytes of each entry, of every list in `LISTS`.
    """

    header: Mapping[str, Any]
    parts: Mapping[str, tuple[bytes, ...]]

    def arrays(self, key: str) -> dict[str, Array]:
        """The tensors of a list by name; InputError names the one whose dtype, shape or name is wrong."""
        found: dict[str, Array] = {}
        for entry, data in zip(self.header.get(key, ()), self.parts[key], strict=True):
            name = entry.get("name")
            if not isinstance(name, str) or name in found:
                raise InputError(f"frame: {key} has the name {name!r}; expected one string each, once")
            found[name] = _array(name, entry.get("dtype"), entry.get("shape"), data)
        return found


def _array(name: str, dtype: Any, shape: Any, data: bytes) -> Array:
    if not isinstance(dtype, str) or dtype not in DTYPES:
        known = ", ".join(sorted(DTYPES))
        raise InputError(f"frame: tensor {name!r} has the dtype {dtype!r}; expected one of {known}")
    if not _is_shape(shape):
        said = f"has the shape {repr(shape)[:_LONGEST_SAID]}; expected a list of sizes"
        raise InputError(f"frame: tensor {name!r} {said}, of {_MOST_AXES} axes at most")
    kind = np.dtype(dtype)
    if prod(shape) * kind.itemsize != len(data):
        raise InputError(
            f"frame: tensor {name!r} has {len(data)} bytes; {dtype} {shape} has {prod(shape) * kind.itemsize}"
        )
    return np.frombuffer(data, kind.newbyteorder("<")).astype(kind).reshape(shape)


def _is_shape(value: Any) -> bool:
    """Whether an array can have the shape: a size of no more bytes than a frame has, even beside one of 0."""
    fits = isinstance(value, list) and len(value) <= _MOST_AXES
    return fits and all(_is_size(each) and each <= LARGEST_TENSORS for each in value)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def read_frame(reader: BinaryIO) -> Frame | None:
    """The next frame; None where the stream ends between two.

    Raises:
        BrokenFrame: the stream ends within a frame, a length is beyond its limit, or the header is no object
            that says how many bytes follow.
    """
    prefix = reader.read(4)
    if not prefix:
        return None
    length = int.from_bytes(_whole(prefix, 4, "length"), "little")
    if length > LARGEST_HEADER:
        raise BrokenFrame(f"frame: a header of {length} bytes; expected {LARGEST_HEADER} at most")
    header = parse_json(_exact(reader, length, "header"), name="frame", error=BrokenFrame)
    if not isinstance(header, dict):
        raise BrokenFrame(f"frame: the header is of type {type(header).__name__}; expected an object")
    sizes = {key: tuple(_sizes(header, key)) for key in LISTS}
    total = sum(sum(each) for each in sizes.values())
    if total > LARGEST_TENSORS:
        raise BrokenFrame(f"frame: tensors of {total} bytes; expected {LARGEST_TENSORS} at most")
    parts = {key: tuple(_exact(reader, size, "tensors") for size in each) for key, each in sizes.items()}
    return Frame(header=header, parts=parts)


def _sizes(header: Mapping[str, Any], key: str) -> Iterator[int]:
    entries = header.get(key, [])
    if not isinstance(entries, list):
        raise BrokenFrame(f"frame: {key} is of type {type(entries).__name__}; expected a list")
    for entry in entries:
        size = entry.get("bytes") if isinstance(entry, dict) else None
        if not _is_size(size):
            raise BrokenFrame(f"frame: an entry of {key} has no whole number of bytes; expected one each")
        assert isinstance(size, int)
        yield size


def _exact(reader: BinaryIO, size: int, what: str) -> bytes:
    return _whole(reader.read(size) if size else b"", size, what)


def _whole(data: bytes, size: int, what: str) -> bytes:
    if len(data) != size:
        raise BrokenFrame(f"frame: the stream ended after {len(data)} of {size} bytes of the {what}")
    return data


def write_frame(
    writer: BinaryIO,
    header: Mapping[str, Any],
    tensors: Mapping[str, Array] | None = None,
    states: Mapping[str, Array] | None = None,
) -> None:
    """Writes a frame of the header and its tensors, and flushes."""
    listed = {"tensors": tensors, "states": states}
    entries = {
        key: [_entry(name, each) for name, each in arrays.items()]
        for key, arrays in listed.items()
        if arrays is not None
    }
    text = json.dumps({**header, **entries}, ensure_ascii=False, allow_nan=False).encode()
    writer.write(len(text).to_bytes(4, "little") + text)
    for arrays in listed.values():
        for each in (arrays or {}).values():
            writer.write(np.ascontiguousarray(each, each.dtype.newbyteorder("<")).tobytes())
    writer.flush()


def _entry(name: str, array: Array) -> dict[str, Any]:
    return {"name": name, "dtype": array.dtype.name, "shape": list(array.shape), "bytes": array.nbytes}
