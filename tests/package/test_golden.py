"""Golden vectors come back as they were written, and damage is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pocketrec.errors import ArtifactError
from pocketrec.package.bundle import Bundle, read_bundle, seal
from pocketrec.package.golden import Vector, read_golden, read_golden_index, write_golden

VECTORS = (
    Vector(
        name="one user",
        inputs={"history": np.arange(6, dtype=np.int32).reshape(1, 6)},
        outputs={"scores": np.linspace(0, 1, 4, dtype=np.float32)},
    ),
    Vector(
        name="padding",
        inputs={"history": np.zeros((1, 6), dtype=np.int32)},
        outputs={"scores": np.zeros(4, dtype=np.float32).T},
    ),
)
TOLERANCES = {"onnx": {"main": {"scores": 1e-4}}}


def bundle(folder: Path) -> Bundle:
    folder.mkdir(exist_ok=True)
    write_golden(folder, {"main": VECTORS}, TOLERANCES)
    seal(folder, name="example", version="1", artifacts={})
    return read_bundle(folder)


def test_vectors_come_back(tmp_path: Path) -> None:
    found = read_golden(bundle(tmp_path), "main")
    assert [each.name for each in found] == ["one user", "padding"]
    for before, after in zip(VECTORS, found, strict=True):
        np.testing.assert_array_equal(before.inputs["history"], after.inputs["history"])
        np.testing.assert_array_equal(before.outputs["scores"], after.outputs["scores"])
        assert after.inputs["history"].dtype == np.int32


def test_one_number_comes_back_without_an_axis(tmp_path: Path) -> None:
    one = Vector(name="a", inputs={}, outputs={"total": np.array(2, np.float32)})
    write_golden(tmp_path, {"main": (one,)}, {})
    seal(tmp_path, name="example", version="1", artifacts={})
    assert read_golden(read_bundle(tmp_path), "main")[0].outputs["total"].shape == ()


def test_the_index_comes_back(tmp_path: Path) -> None:
    index = read_golden_index(bundle(tmp_path))
    assert index.functions == ("main",)
    assert index.tolerances == TOLERANCES


def test_two_writings_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (bundle(tmp_path / name) for name in ("a", "b"))
    assert first.manifest.tree_sha256 == second.manifest.tree_sha256


def test_a_file_that_is_no_safetensors_is_named(tmp_path: Path) -> None:
    damaged = bundle(tmp_path)
    (tmp_path / "golden/main.safetensors").write_bytes(b"\xff" * 32)
    with pytest.raises(ArtifactError, match=r"golden/main.safetensors: not a safetensors file"):
        read_golden(damaged, "main")


def test_a_key_of_another_form_is_named(tmp_path: Path) -> None:
    odd = Vector(name="a/b", inputs={}, outputs={"scores": np.zeros(1, dtype=np.float32)})
    write_golden(tmp_path, {"main": (odd,)}, {})
    seal(tmp_path, name="example", version="1", artifacts={})
    with pytest.raises(ArtifactError, match=r"main.safetensors: tensor 'a/b/out/scores'; expected"):
        read_golden(read_bundle(tmp_path), "main")
