"""Apple's framework says where it is not, and what a package computes in is read from its ops."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pocketrec.validate.artifact.coreml import read_core_ml
from pocketrec.validate.open import available_runtimes
from pocketrec.validate.runtimes.coreml_framework import CoreMLFramework, RuntimeUnavailable, precision_of


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
