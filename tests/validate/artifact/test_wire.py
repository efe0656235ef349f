"""Bytes over the wire: of each file, as it is and compressed."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from pocketrec.errors import ArtifactError
from pocketrec.validate.artifact.wire import wire_sizes


def test_every_file_is_weighed_raw_and_compressed(tmp_path: Path) -> None:
    brotli = pytest.importorskip("brotli", reason="not run: brotli is not installed")
    zeros, noise = tmp_path / "main.onnx", tmp_path / "main.onnx.data"
    zeros.write_bytes(bytes(5000))
    noise.write_bytes(bytes(range(256)) * 4)
    first, second = wire_sizes((zeros, noise))
    assert (first.file, first.raw, second.file, second.raw) == ("main.onnx", 5000, "main.onnx.data", 1024)
    assert first.gzip == len(gzip.compress(bytes(5000), 6))
    assert first.brotli == len(brotli.compress(bytes(5000), quality=5))
    assert max(first.gzip, first.brotli) < 100


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    pytest.importorskip("brotli", reason="not run: brotli is not installed")
    with pytest.raises(ArtifactError, match=r"gone\.data"):
        wire_sizes((tmp_path / "gone.data",))
