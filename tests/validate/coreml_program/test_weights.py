"""The weight file: the same numbers as coremltools' own reader, and a named fault where it is damaged."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coremltools.libmilstoragepython import _BlobStorageReader, _BlobStorageWriter
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketrec.errors import ArtifactError
from pocketrec.validate.coreml_program.weights import WeightFile

KINDS: dict[str, tuple[str, str, int, int]] = {
    "float16": ("fp16", "float16", -8, 8),
    "float32": ("float", "float32", -8, 8),
    "int4": ("int4", "int8", -8, 8),
    "int8": ("int8", "int8", -128, 128),
    "int16": ("int16", "int16", -(2**15), 2**15),
    "int32": ("int32", "int32", -(2**31), 2**31),
    "uint1": ("uint1", "uint8", 0, 2),
    "uint2": ("uint2", "uint8", 0, 4),
    "uint3": ("uint3", "uint8", 0, 8),
    "uint4": ("uint4", "uint8", 0, 16),
    "uint6": ("uint6", "uint8", 0, 64),
    "uint8": ("uint8", "uint8", 0, 256),
    "uint16": ("uint16", "uint16", 0, 2**16),
    "uint32": ("uint32", "uint32", 0, 2**32),
}


def drawn(kind: str, count: int, seed: int) -> Any:
    _, stored, low, high = KINDS[kind]
    return np.random.default_rng(seed).integers(low, high, count).astype(stored)


def write(path: Path, blobs: list[tuple[str, Any]]) -> list[int]:
    """The offsets of the blobs that coremltools' writer put into `path`."""
    writer = _BlobStorageWriter(str(path))
    offsets = []
    for kind, values in blobs:
        stored = values.view(np.uint16) if kind == "float16" else values
        if kind in ("int4", "uint1", "uint2", "uint3", "uint4", "uint6"):
            from coremltools.converters.mil.mil import types

            stored = values.astype(types.nptype_from_builtin(types.string_to_builtin(kind)))
        offsets.append(getattr(writer, f"write_{KINDS[kind][0]}_data")(stored))
    del writer
    return offsets


@given(st.sampled_from(sorted(KINDS)), st.integers(1, 70), st.integers(0, 999))
@settings(max_examples=80, deadline=None)
def test_every_dtype_reads_as_coremltools_reads_it(
    tmp_path_factory: pytest.TempPathFactory, kind: str, count: int, seed: int
) -> None:
    """Any count, so that packed integers end within a byte, and any place in the file."""
    path = tmp_path_factory.mktemp("blobs") / "weight.bin"
    first, values = drawn("uint8", 5, seed), drawn(kind, count, seed)
    offset = write(path, [("uint8", first), (kind, values)])[1]
    found = WeightFile(path).read(offset, kind, (count,))
    expected = np.asarray(getattr(_BlobStorageReader(str(path)), f"read_{KINDS[kind][0]}_data")(offset))
    if kind == "float16":
        expected = expected.view(np.float16)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found, values)


def test_a_constant_is_a_view_of_the_file(tmp_path: Path) -> None:
    """Nothing is copied, and nothing can be written to the artifact by accident."""
    path = tmp_path / "weight.bin"
    (offset,) = write(path, [("float32", drawn("float32", 6, 0))])
    found = WeightFile(path).read(offset, "float32", (2, 3))
    assert found.base is not None
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0] = 1


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, ["weight.bin"]),
        (10, ["weight.bin", "64", "10 bytes"]),
        (100, ["weight.bin", "64", "100 bytes"]),
        (131, ["weight.bin", "64", "132", "131 bytes"]),
    ],
)
def test_a_cut_file_is_named_with_offset_and_sizes(tmp_path: Path, size: int, words: list[str]) -> None:
    """Wherever it was cut: header, record, or the last byte of the data."""
    path = tmp_path / "weight.bin"
    (offset,) = write(path, [("uint8", drawn("uint8", 4, 0))])
    whole = path.read_bytes()[:132]
    path.write_bytes(whole[:size])
    with pytest.raises(ArtifactError) as caught:
        WeightFile(path).read(offset, "uint8", (4,))
    assert all(word in str(caught.value) for word in words)


def test_the_uncut_file_still_reads(tmp_path: Path) -> None:
    """The sizes above are exact: with one byte more there is no fault."""
    path = tmp_path / "weight.bin"
    values = drawn("uint8", 4, 0)
    (offset,) = write(path, [("uint8", values)])
    path.write_bytes(path.read_bytes()[:132])
    np.testing.assert_array_equal(WeightFile(path).read(offset, "uint8", (4,)), values)


def test_a_blob_of_another_dtype_size_or_sentinel_is_refused(tmp_path: Path) -> None:
    """What the program declares and what the file holds must agree."""
    path = tmp_path / "weight.bin"
    (offset,) = write(path, [("float32", drawn("float32", 4, 0))])
    with pytest.raises(ArtifactError, match="holds float32, the program declares float16"):
        WeightFile(path).read(offset, "float16", (4,))
    with pytest.raises(ArtifactError, match="holds 16 bytes, the program declares 20"):
        WeightFile(path).read(offset, "float32", (5,))
    content = bytearray(path.read_bytes())
    content[offset : offset + 4] = struct.pack("<I", 0xDEADBEEE)
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="0xdeadbeee, expected 0xdeadbeef"):
        WeightFile(path).read(offset, "float32", (4,))


def test_a_size_beyond_all_memory_is_an_error_and_not_an_overflow(tmp_path: Path) -> None:
    """2^62 rows of 4 do not wrap around to no rows at all."""
    path = tmp_path / "weight.bin"
    (offset,) = write(path, [("float32", drawn("float32", 4, 0))])
    with pytest.raises(ArtifactError, match=f"declares {2**66}"):
        WeightFile(path).read(offset, "float32", (2**62, 4))
