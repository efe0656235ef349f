"""Engines open what they can, and say in one line why they cannot."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketrec.contract import Contract
from pocketrec.errors import ArtifactError, ContractError, ExecutionError, InputError, UsageError
from pocketrec.validate.open import available_runtimes, open_artifact
from pocketrec.validate.runtimes.coreml_framework import CoreMLFramework, RuntimeUnavailable
from pocketrec.validate.runtimes.onnx_runtime import OnnxRuntime
from pocketrec.validate.runtimes.runtime import Runtime


def test_an_onnx_file_runs_and_describes_itself(onnx_file: Path) -> None:
    with open_artifact(onnx_file) as runtime:
        assert isinstance(runtime, Runtime)
        description = runtime.describe()
        assert (description.runtime, description.compute_units) == ("onnxruntime", "cpu")
        assert description.metadata == {"key": "value"}
        assert [(each.name, each.dtype, each.shape) for each in description.inputs] == [
            ("ids", "int32", (None,))
        ]
        found = runtime.run({"ids": np.array([3], np.int32)})
        np.testing.assert_array_equal(found["rows"], [[12, 14]])
    runtime.close()
    with pytest.raises(UsageError, match="closed"):
        runtime.run({"ids": np.array([3], np.int32)})


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


@pytest.mark.parametrize(
    ("name", "runtime", "words"),
    [
        ("model.pt", None, r"'\.pt' is unknown; expected \.onnx, \.mlpackage"),
        ("absent.onnx", None, "no such artifact"),
        ("absent.onnx", "coreml-interpreter", "expected onnxruntime"),
        ("absent.mlpackage", "onnx", "expected coreml-framework or coreml-interpreter"),
    ],
)
def test_what_cannot_be_opened_is_a_usage_error_with_the_choices(
    tmp_path: Path, name: str, runtime: str | None, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        open_artifact(tmp_path / name, runtime)


@pytest.mark.skipif(sys.platform == "darwin", reason="the framework is there")
def test_the_framework_says_that_it_exists_only_on_macos(tmp_path: Path) -> None:
    with pytest.raises(RuntimeUnavailable, match=r"only on macOS.*coreml-interpreter"):
        CoreMLFramework(tmp_path / "x.mlpackage")
    status = {each.name: each for each in available_runtimes()}
    assert not status["coreml-framework"].available
    assert "macOS" in status["coreml-framework"].reason
    assert status["onnxruntime"].available
    assert status["onnxruntime"].version


def test_a_module_is_a_runtime_and_must_return_what_the_contract_names(contract: Contract) -> None:
    torch = pytest.importorskip("torch")
    from pocketrec.validate.runtimes.torch_runtime import TorchRuntime

    class Module(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, history: Any, age: Any) -> Any:
            scores = age.expand(-1, 40) * history.sum(1, keepdim=True)
            return scores, scores.topk(3)[1]

    class Short(Module):
        def forward(self, history: Any, age: Any) -> Any:
            return super().forward(history, age)[:1]

    class Small(Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Embedding(1, 1)

        def forward(self, history: Any, age: Any) -> Any:
            return super().forward(self.table(history).squeeze(-1), age)

    signature = contract.functions["main"]
    inputs = {"history": np.ones((2, 6), np.int32), "age": np.ones((2, 1), np.float32)}
    with pytest.raises(ContractError, match=r"function main: the module has no row for an id .* sizes"):
        TorchRuntime(Small(), signature).run(inputs)
    found = TorchRuntime(Module(), signature).run(inputs)
    assert {name: str(each.dtype) for name, each in found.items()} == {
        "scores": "float32",
        "best_ids": "int32",
    }
    with pytest.raises(ExecutionError, match="returned 1 tensors; the contract names 2"):
        TorchRuntime(Short(), signature).run(inputs)
    with pytest.raises(InputError, match="'history' has shape"):
        TorchRuntime(Module(), signature, contract=contract).run(
            inputs | {"history": np.ones((2, 7), np.int32)}
        )
