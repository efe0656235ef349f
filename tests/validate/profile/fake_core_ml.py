"""Core ML on a Mac as far as coremltools' own source shows it: a fake, whose every figure is one.

`coremltools.models.compute_plan`, `.compute_device` and `.ml_program.experimental.perf_utils` run as they
are; what they reach in Apple's framework, the proxies of `libcoremlpython`, stands here. Predictions are the
interpreter's, durations are made up, and the version reads `a fake, no Mac`.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coremltools as ct
import pytest
from coremltools.models import compute_device, compute_plan
from coremltools.models.ml_program.experimental import async_wrapper, perf_utils

from pocketrec.validate.coreml_program.interpreter import CoreMLInterpreter
from pocketrec.validate.runtimes.coreml_spec import load_model

VERSION = "a fake, no Mac"
LOAD_NS, PREDICT_NS = 7_000_000, 2_000_000
ON_ENGINE = frozenset({"matmul", "linear", "add", "mul", "layer_norm", "softmax"})  # as this fake has it


class Device:
    """What compute_device's classes want to see."""

    def get_total_core_count(self) -> int:
        return 16


def devices() -> dict[str, Any]:
    kinds = {"cpu": "MLCPUComputeDevice", "gpu": "MLGPUComputeDevice", "ane": "MLNeuralEngineComputeDevice"}
    return {name: getattr(compute_device, kind)(Device()) for name, kind in kinds.items()}


class PlanProxy:
    """A plan that puts arithmetic on the Neural Engine, and everything else on the CPU."""

    def __init__(self, spec: Any, units: str) -> None:
        self._units = units
        functions = {
            name: compute_plan.MLModelStructureProgramFunction(
                inputs=[], block=block_of(each.block_specializations[each.opset])
            )
            for name, each in spec.mlProgram.functions.items()
        }
        program = compute_plan.MLModelStructureProgram(functions=functions)
        self.model_structure = compute_plan.MLModelStructure(
            neuralnetwork=None, program=program, pipeline=None
        )

    def get_compute_device_usage_for_mlprogram_operation(self, operation: Any) -> Any:
        known, kind = devices(), operation.operator_name
        if kind == "const":
            return None
        wanted = ["cpu", *(["gpu"] if "GPU" in self._units or self._units == "ALL" else [])]
        if kind in ON_ENGINE and self._units in ("ALL", "CPU_AND_NE"):
            wanted.append("ane")
        preferred = known["ane" if "ane" in wanted and kind != "add" else "cpu"]
        return compute_plan.MLComputePlanDeviceUsage(
            preferred_compute_device=preferred, supported_compute_devices=[known[each] for each in wanted]
        )

    def get_estimated_cost_for_mlprogram_operation(self, operation: Any) -> Any:
        return None if operation.operator_name == "const" else compute_plan.MLComputePlanCost(weight=0.25)


def block_of(block: Any) -> Any:
    return compute_plan.MLModelStructureProgramBlock(
        inputs=[],
        operations=[
            compute_plan.MLModelStructureProgramOperation(
                inputs={},
                operator_name=each.type,
                outputs=[
                    compute_plan.MLModelStructureProgramNamedValueType(
                        name=out.name, type=compute_plan.MLModelStructureProgramValueType()
                    )
                    for out in each.outputs
                ],
                blocks=[block_of(inner) for inner in each.blocks],
                __proxy__=None,
            )
            for each in block.operations
        ],
        output_names=list(block.outputs),
    )


class ModelProxy:
    """The functions of `_MLModelProxy` that need no model."""

    @staticmethod
    def get_compute_plan(path: str, units: str) -> Any:
        return compute_plan.MLComputePlan(PlanProxy(load_model(Path(path)).spec, units))


class FakeMLModel:
    """`MLModel` with what MLModelBenchmarker, MLComputePlan and this package ask of it."""

    refused: str = ""  # the name of a compute unit that cannot be had

    def __init__(
        self,
        model: Any,
        *,
        compute_units: Any = ct.ComputeUnit.ALL,
        weights_dir: str | None = None,
        function_name: str | None = None,
        optimization_hints: Any = None,
    ) -> None:
        if compute_units.name == self.refused:
            raise RuntimeError(f"{compute_units.name} is not there")
        self.package_path = str(model) if isinstance(model, str) else str(Path(str(weights_dir)).parents[2])
        self.compute_unit, self.function_name = compute_units, function_name
        self.optimization_hints, self.__proxy__ = optimization_hints, object()
        self.weights_dir = str(Path(self.package_path) / "Data" / "com.apple.CoreML" / "weights")
        self._program = CoreMLInterpreter(self.package_path, function=function_name)
        self.load_duration_in_nano_seconds, self.last_predict_duration_in_nano_seconds = LOAD_NS, PREDICT_NS

    def get_spec(self) -> Any:
        return load_model(Path(self.package_path)).spec

    def get_compiled_model_path(self) -> str:
        return self.package_path

    def predict(self, inputs: dict[str, Any], state: Any = None) -> dict[str, Any]:
        return self._program.run(inputs)

    def _is_stateful(self) -> bool:
        return False


class Wrapper(async_wrapper.LocalMLModelAsyncWrapper):  # type: ignore[misc]  # coremltools has no types
    """The local wrapper, whose folder is the package's own and must stay."""

    @property
    def temp_asset_path(self) -> str | None:
        return None

    @temp_asset_path.setter
    def temp_asset_path(self, value: str | None) -> None:
        pass


def make_mac(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeMLModel]]:
    """A machine that has the framework, as far as anything here can tell."""
    for module in (compute_device, compute_plan):
        monkeypatch.setattr(module, "_MLModelProxy", ModelProxy)
    monkeypatch.setattr(compute_plan, "_MLComputePlanProxy", PlanProxy)
    for kind in ("CPU", "GPU", "NeuralEngine"):
        monkeypatch.setattr(compute_device, f"_ML{kind}ComputeDeviceProxy", Device)
    for module in (ct.models, async_wrapper, perf_utils):
        monkeypatch.setattr(module, "MLModel", FakeMLModel)
    monkeypatch.setattr(async_wrapper, "LocalMLModelAsyncWrapper", Wrapper)
    monkeypatch.setattr(perf_utils.gc, "collect", lambda: 0)  # which the benchmarker calls after each load
    monkeypatch.setattr(FakeMLModel, "refused", "")
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "mac_ver", lambda: (VERSION, ("", "", ""), ""))
    yield FakeMLModel
