"""weight.bin as we lay it out: the very bytes of coremltools' writer, and readable by its reader."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketrec.convert.coreml.blobs import BlobLayout
from pocketrec.convert.lower.placed import pack_bits

pytestmark = pytest.mark.usefixtures("small_chunks")

libmilstoragepython = pytest.importorskip("coremltools.libmilstoragepython")

RNG = np.random.default_rng(0)
ARRAYS: dict[str, Any] = {
    "float": RNG.standard_normal(70).astype(np.float32),
    "fp16": RNG.integers(0, 1 << 15, 11).astype(np.uint16),
    "int8": RNG.integers(-128, 128, 65).astype(np.int8),
    "uint8": RNG.integers(0, 256, 64).astype(np.uint8),
    "int16": RNG.integers(-9, 9, 5).astype(np.int16),
    "uint32": RNG.integers(0, 9, 5).astype(np.uint32),
    "int4": RNG.integers(-8, 8, 31).astype(np.int8),
    **{f"uint{bits}": RNG.integers(0, 1 << bits, 29).astype(np.uint8) for bits in (1, 2, 3, 4, 6)},
}


def test_the_bytes_and_offsets_are_those_of_coremltools_writer(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.bin", tmp_path / "theirs.bin"
    writer, layout = libmilstoragepython._BlobStorageWriter(str(theirs)), BlobLayout()
    for kind, values in ARRAYS.items():
        method = f"write_{kind}_data"
        assert getattr(layout, method)(values) == getattr(writer, method)(values), kind
    del writer
    file = os.open(ours, os.O_RDWR | os.O_CREAT)
    layout.write(file)
    os.close(file)
    assert ours.read_bytes() == theirs.read_bytes()
    assert layout.size_bytes == ours.stat().st_size


def test_coremltools_reader_gives_back_what_was_laid_out(tmp_path: Path) -> None:
    layout = BlobLayout()
    offsets = {kind: layout.add(values, kind) for kind, values in ARRAYS.items()}
    file = os.open(tmp_path / "weight.bin", os.O_RDWR | os.O_CREAT)
    layout.write(file)
    os.close(file)
    reader = libmilstoragepython._BlobStorageReader(str(tmp_path / "weight.bin"))
    for kind in ("float", "int8", "uint8", "int4", "uint3"):
        assert np.array_equal(getattr(reader, f"read_{kind}_data")(offsets[kind]), ARRAYS[kind]), kind


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6])
def test_packed_in_chunks_of_eight_rows_is_packed_whole(bits: int) -> None:
    codes = RNG.integers(0, 1 << bits, (40, 5)).astype(np.uint8)
    chunks = [pack_bits(codes[start : start + 8], bits) for start in range(0, 40, 8)]
    assert np.array_equal(np.concatenate(chunks), pack_bits(codes, bits))


def test_an_unknown_kind_of_blob_is_no_attribute() -> None:
    with pytest.raises(AttributeError):
        BlobLayout().write_complex_data  # noqa: B018
