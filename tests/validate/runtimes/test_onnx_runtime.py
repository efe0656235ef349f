"""ONNX Runtime as a runtime: inputs are checked, and what goes wrong is one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pocketrec.errors import ArtifactError, ExecutionError, InputError
from pocketrec.validate.runtimes.onnx_runtime import OnnxRuntime


def test_wrong_inputs_and_ids_beyond_the_table_are_errors(onnx_file: Path) -> None:
    runtime = OnnxRuntime(onnx_file)
    with pytest.raises(InputError, match="'ids' is int64; expected int32"):
        runtime.run({"ids": np.array([3])})
    with pytest.raises(ExecutionError, match=r"table\.onnx: ONNX Runtime failed"):
        runtime.run({"ids": np.array([4], np.int32)})


def test_a_damaged_file_is_one_line(onnx_file: Path) -> None:
    onnx_file.write_bytes(onnx_file.read_bytes()[:60])
    with pytest.raises(ArtifactError, match=r"table\.onnx: not an ONNX file") as caught:
        OnnxRuntime(onnx_file)
    assert "\n" not in str(caught.value)
