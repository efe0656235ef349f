"""Scales come back as they were written; what is none is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from pocketrec.errors import ArtifactError
from pocketrec.package.bundle import Bundle, read_bundle
from pocketrec.package.manifest import seal
from pocketrec.package.scales import SCALES, Levels, Scales, read_scales, write_scales

ROWS = Levels(bits=8, granularity="per_row", block_size=4)
PLAIN = Scales(levels=ROWS, scales=np.array([[0.5], [0.25]], np.float16))
SHIFTED = Scales(levels=ROWS, scales=np.array([[2.0]], np.float16), zero_points=np.array([[7]], np.uint8))


def bundle(folder: Path, tensors: Mapping[str, Scales]) -> Bundle:
    (folder / "a.onnx").write_bytes(b"onnx")
    write_scales(folder, tensors)
    return sealed(folder)


def sealed(folder: Path) -> Bundle:
    seal(folder, name="small", version="1", artifacts={"onnx": {"main": "a.onnx"}})
    return read_bundle(folder)


def test_scales_come_back_as_they_were(tmp_path: Path) -> None:
    found = read_scales(bundle(tmp_path, {"table": PLAIN, "layer": SHIFTED}))
    assert set(found) == {"table", "layer"}
    assert found["table"].levels == ROWS
    assert found["table"].scales.tobytes() == PLAIN.scales.tobytes()
    assert found["table"].zero_points is None
    zero_points = found["layer"].zero_points
    assert zero_points is not None
    assert zero_points.tolist() == [[7]]


def test_a_bundle_without_levels_has_no_file_and_no_scales(tmp_path: Path) -> None:
    made = bundle(tmp_path, {})
    assert not (tmp_path / SCALES).exists()
    assert read_scales(made) == {}


@pytest.mark.parametrize(
    "data",
    [
        b"none",
        save({"t/scales": np.ones((2, 1), np.float16)}),
        save({"t/scales": np.ones((2, 1), np.float16)}, {"pocketrec.scales": "["}),
        save({"t/scales": np.ones((2, 1), np.float16)}, {"pocketrec.scales": '{"t": {"bits": 8}}'}),
        save({"a/scales": np.ones((2, 1), np.float16)}, {"pocketrec.scales": '{"t": {}}'}),
        save(
            {"t/scales": np.ones((2, 1), np.float32)},
            {"pocketrec.scales": '{"t": {"bits": 8, "granularity": "per_row", "block_size": 4}}'},
        ),
    ],
)
def test_what_holds_no_scales_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"onnx")
    (tmp_path / SCALES).parent.mkdir()
    (tmp_path / SCALES).write_bytes(data)
    with pytest.raises(ArtifactError, match=rf"^{SCALES}: holds no scales"):
        read_scales(sealed(tmp_path))


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    made = bundle(tmp_path, {"table": PLAIN})
    (tmp_path / SCALES).write_bytes(b"other")
    with pytest.raises(ArtifactError, match="altered"):
        read_scales(made)
