"""A table of `targets`: one artifact to build."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pocketrec.errors import RecipeError

Precision = Literal["float32", "float16"]
DeploymentTarget = Literal["iOS15", "iOS16", "iOS17", "iOS18"]
ComputeUnits = Literal["all", "cpu_only", "cpu_and_gpu", "cpu_and_neural_engine"]
Provider = Literal["wasm", "webgpu"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One artifact to build.

    Attributes:
        format: `onnx`, `web` or `coreml`; where it is left out, the target's name must be one of these.
        precision: of weights and activations, by default float16 on Core ML from iOS16 on and float32
            elsewhere; scores and top-k stay float32.
        opset_version: ONNX and the web only; 20 to 23.
        minimum_deployment_target: Core ML only; by default `iOS17`, or what the preset needs.
        compute_units: Core ML only; what the application should ask for.
        contrib_ops: ONNX and the web only; whether compressed tensors may be read by ops of ONNX
            Runtime's own domain where those are faster; otherwise the standard opset is enough.
        gather_codes: Core ML only; names, or patterns with `*`, of compressed tables that are stored as a
            plain constant of 8-bit codes, of which rows are gathered and then dequantized.
        flexible: Core ML only; the contract's dims that stay ranges, or `*` for all. Others are fixed:
            the batch (any dim that leads every input) at its smallest, lengths at their largest.
        multifunction: Core ML for iOS18 only; all functions in one package, every weight stored once.
        providers: the web only; those of onnxruntime-web that the app asks for, on which it has to be right.
    """

    format: str | None = None
    precision: Precision | None = None
    opset_version: int = 20
    minimum_deployment_target: DeploymentTarget | None = None
    compute_units: ComputeUnits = "all"
    contrib_ops: bool = True
    gather_codes: tuple[str, ...] = ()
    flexible: tuple[str, ...] = ()
    multifunction: bool = False
    providers: tuple[Provider, ...] = ("wasm", "webgpu")

    def __post_init__(self) -> None:
        if not 20 <= self.opset_version <= 23:
            raise RecipeError(f"opset_version is {self.opset_version}; expected 20 to 23")
        if not self.providers:
            raise RecipeError("providers is empty; expected wasm, webgpu or both, the default")
