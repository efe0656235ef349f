"""Small Core ML packages, converted once per session."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name everywhere in MIL
from coremltools.converters.mil.mil import types
from coremltools.proto import Model_pb2

IOS18 = ct.target.iOS18
ROWS, WIDTH = 12, 4
TABLE = np.random.default_rng(3).normal(size=(ROWS, WIDTH)).astype(np.float32)
MODEL, WEIGHTS = "Data/com.apple.CoreML/model.mlmodel", "Data/com.apple.CoreML/weights/weight.bin"


def convert(program: Any, *, precision: str = "FLOAT32", **options: Any) -> Any:
    return ct.convert(
        program,
        convert_to="mlprogram",
        minimum_deployment_target=IOS18,
        compute_precision=getattr(ct.precision, precision),
        **options,
    )


def score_program() -> Any:
    def program(ids: Any) -> Any:
        rows = mb.gather(x=TABLE, indices=ids, axis=0, name="rows")
        return mb.matmul(x=rows, y=TABLE, transpose_y=True, name="scores")

    return mb.program(input_specs=[mb.TensorSpec((3,), dtype=types.int32)], opset_version=IOS18)(program)


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `float32.mlpackage` and `float16.mlpackage`: rows of TABLE times TABLE."""
    folder = tmp_path_factory.mktemp("packages")
    for precision in ("FLOAT32", "FLOAT16"):
        model = convert(score_program(), precision=precision)
        model.save(str(folder / f"{precision.lower()}.mlpackage"))
    return folder


@pytest.fixture
def damaged(packages: Path, tmp_path: Path) -> Callable[[Callable[[Path], object]], Path]:
    """A copy of the float32 package, after what the given function did to it."""

    def make(change: Callable[[Path], object]) -> Path:
        copy = tmp_path / "damaged.mlpackage"
        shutil.copytree(packages / "float32.mlpackage", copy)
        change(copy)
        return copy

    return make


def edit_program(package: Path, change: Callable[[Any], object]) -> None:
    """Apply `change` to the operations of the function `main`, and save."""
    path, spec = package / MODEL, Model_pb2.Model()
    spec.ParseFromString(path.read_bytes())
    function = spec.mlProgram.functions["main"]
    change(function.block_specializations[function.opset])
    path.write_bytes(spec.SerializeToString())
