"""Apple's framework says where it is not, and what a package computes in is read from its ops."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest

from pocketrec.validate.artifact.coreml import read_core_ml
from pocketrec.validate.open import available_runtimes
from pocketrec.validate.runtimes.coreml_framework import CoreMLFramework, precision_of
from pocketrec.validate.runtimes.faults import FrameworkFault
from pocketrec.validate.runtimes.runtime import RuntimeUnavailable


@pytest.mark.skipif(sys.platform == "darwin", reason="the framework is there")
def test_the_framework_says_that_it_exists_only_on_macos(tmp_path: Path) -> None:
    with pytest.raises(RuntimeUnavailable, match=r"only on macOS.*coreml-interpreter"):
        CoreMLFramework(tmp_path / "x.mlpackage")
    status = {each.name: each for each in available_runtimes()}
    assert not status["coreml-framework"].available
    assert "macOS" in status["coreml-framework"].reason
    assert status["onnxruntime"].available
    assert status["onnxruntime"].version


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_precision_is_that_of_what_the_ops_make(packages: Path, precision: str) -> None:
    assert precision_of(read_core_ml(packages / f"{precision}.mlpackage")) == precision


class Rewriting:
    """Stands in for coremltools.models.MLModel, which needs macOS: rewrites the manifest of what it loads."""

    loaded: Path

    def __init__(self, path: str, **options: Any) -> None:
        type(self).loaded = Path(path)
        (Path(path) / "Manifest.json").write_text("rewritten")
        if options["compute_units"].name == "CPU_ONLY":
            raise RuntimeError("no such unit")

    def predict(self, inputs: dict[str, Any]) -> dict[str, Any]:
        assert self.loaded.is_dir()
        return {"y": np.zeros((2, 4), np.float32)}


@pytest.fixture
def framework(monkeypatch: pytest.MonkeyPatch) -> type[Rewriting]:
    """A machine that has the framework, as far as this runtime can tell."""
    monkeypatch.setattr(ct.models, "MLModel", Rewriting)
    monkeypatch.setattr(sys, "platform", "darwin")
    return Rewriting


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_a_loader_that_rewrites_what_it_reads_gets_a_copy_that_goes_with_the_runtime(
    packages: Path, framework: type[Rewriting]
) -> None:
    package = packages / "float32.mlpackage"
    before = bytes_of(package)
    with CoreMLFramework(package) as runtime:
        inputs = {
            each.name: np.zeros([size or 1 for size in each.shape], each.dtype)
            for each in runtime.describe().inputs
        }
        assert "y" in runtime.run(inputs)
        assert (framework.loaded / "Manifest.json").read_text() == "rewritten"
        weights = "Data/com.apple.CoreML/weights/weight.bin"
        if (package / weights).exists():
            assert (framework.loaded / weights).read_bytes() == before[weights]
        assert framework.loaded != package
    assert bytes_of(package) == before
    assert not framework.loaded.parent.exists()
    runtime.close()


def test_a_package_that_is_refused_leaves_no_copy(packages: Path, framework: type[Rewriting]) -> None:
    with pytest.raises(FrameworkFault, match="Core ML cannot load it") as refused:
        CoreMLFramework(packages / "float32.mlpackage", compute_units="cpu_only")
    assert refused.value.fault == "refused"
    assert not framework.loaded.parent.exists()
