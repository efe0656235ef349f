"""What an artifact holds is read from its file, to the byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketrec.errors import ArtifactError, UsageError
from pocketrec.validate.artifact.sizes import artifact_bytes, describe_artifact, tensor_sizes


def test_an_onnx_file_is_described(onnx_file: Path) -> None:
    found = describe_artifact(onnx_file)
    assert found.op_counts == {"Gather": 1, "Mul": 1}
    assert found.metadata == {"key": "value"}
    assert found.version == "opset 20"
    assert [(each.name, each.dtype, each.shape, each.size_bytes) for each in found.tensors] == [
        ("table", "float32", (4, 2), 32),
        ("two", "float32", (1,), 4),
    ]
    assert found.size_bytes == onnx_file.stat().st_size


def test_external_data_counts_and_must_be_there(onnx_file: Path) -> None:
    import onnx

    model = onnx.load(onnx_file)
    path = onnx_file.with_name("external.onnx")
    onnx.save(model, path, save_as_external_data=True, location="w.bin", size_threshold=8)
    weights = path.with_name("w.bin")
    assert artifact_bytes(path) == path.stat().st_size + weights.stat().st_size
    assert tensor_sizes(path)[0].size_bytes == 32
    weights.unlink()
    with pytest.raises(ArtifactError, match=r"w\.bin: no such file; external\.onnx keeps .* there"):
        artifact_bytes(path)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    ct: Any = pytest.importorskip("coremltools")
    from coremltools.converters.mil import Builder as mb  # noqa: N813

    table = np.ones((64, 8), np.float32)

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 8))], opset_version=ct.target.iOS17)  # type: ignore[untyped-decorator, unused-ignore]
    def program(x: Any) -> Any:
        return mb.linear(x=x, weight=table, name="y")

    model = ct.convert(
        program,
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS17,
        compute_precision=ct.precision.FLOAT16,
        skip_model_load=True,
    )
    path = tmp_path / "linear.mlpackage"
    model.save(str(path))
    return path


def test_a_core_ml_package_is_described(package: Path) -> None:
    found = describe_artifact(package)
    assert found.format == "coreml"
    assert found.op_counts["linear"] == 1
    assert (found.tensors[0].dtype, found.tensors[0].shape, found.tensors[0].size_bytes) == (
        "float16",
        (64, 8),
        1024,
    )
    assert [(each.name, each.shape) for each in found.inputs] == [("x", (1, 8))]
    assert found.size_bytes > 1024


def test_what_is_no_artifact_is_an_error(tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"\xff\xff not a model")
    with pytest.raises(ArtifactError, match=r"bad\.onnx"):
        describe_artifact(bad)
    folder = tmp_path / "bad.mlpackage"
    folder.mkdir()
    with pytest.raises(ArtifactError, match=r"bad\.mlpackage/Manifest\.json: no such file"):
        describe_artifact(folder)
    with pytest.raises(UsageError, match="suffix"):
        tensor_sizes(tmp_path / "x.bin")
    with pytest.raises(UsageError, match="no such"):
        artifact_bytes(tmp_path / "x.onnx")
