"""Functions of one tensor as one Core ML program, in float32, through either front end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pytest
from torch import Tensor, nn

from pocketrec.contract import Contract, Feature, Output, Signature
from pocketrec.convert.capture.capture import capture
from pocketrec.convert.coreml.lower import to_coreml
from pocketrec.validate.coreml_program import CoreMLInterpreter

Functions = Mapping[str, Callable[[Tensor], Tensor]]
Computed = Mapping[str, npt.NDArray[Any]]


class Each(nn.Module):
    """The result of every function of `x`, in float32."""

    def __init__(self, functions: Functions) -> None:
        super().__init__()
        self.functions = functions

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(each(x).float() for each in self.functions.values())


@pytest.fixture(scope="session")
def lowered(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[Computed]]:
    """What the Core ML program of the functions gives, converted on `example` and run on each of `inputs`."""

    def lower(functions: Functions, example: Tensor, inputs: list[Tensor], frontend: str) -> list[Computed]:
        module = Each(functions).eval()
        outputs = tuple(
            Output(name=f"y_{name}", meaning="embedding", shape=tuple(shown.shape))
            for name, shown in zip(functions, module(example), strict=True)
        )
        feature = Feature(name="x", kind="dense", dtype="float32", shape=tuple(example.shape))
        contract = Contract(functions={"main": Signature(inputs=(feature,), outputs=outputs)})
        captured = capture(module, contract, "main", [{"x": example}])
        path: Path = tmp_path_factory.mktemp("lowered") / "each.mlpackage"
        to_coreml(captured, path, precision="float32", frontend=frontend)
        with CoreMLInterpreter(path) as runtime:
            given = [runtime.run({"x": each.numpy()}) for each in inputs]
        return [{name: each[f"y_{name}"] for name in functions} for each in given]

    return lower
