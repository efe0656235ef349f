"""What `compression.py` is compared with: tools that compress the artifacts of the same float32 model."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import latency_environments
import numpy as np

from pocketrec.contract import Contract, Signature
from pocketrec.validate.runtimes.runtime import Array, Description, TensorSpec, contract_spec

HERE = Path(__file__).parent


def ort_dynamic(source: Path, goal: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(str(source), str(goal), weight_type=QuantType.QInt8)


def ort_4_bit(source: Path, goal: Path) -> None:
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    # Its default block of 128 fits no table of 64 columns; 32 is what its documentation shows.
    quantizer = MatMulNBitsQuantizer(
        onnx.load(source), block_size=32, op_types_to_quantize=("MatMul", "Gather")
    )
    quantizer.process()
    quantizer.model.save_model_to_file(str(goal), use_external_data_format=False)


def ct_linear(source: Path, goal: Path) -> None:
    from coremltools.optimize.coreml import (
        OpLinearQuantizerConfig,
        OptimizationConfig,
        linear_quantize_weights,
    )

    config = OptimizationConfig(global_config=OpLinearQuantizerConfig())
    linear_quantize_weights(ct_model(source), config).save(str(goal))


def ct_palettize(bits: int) -> Callable[[Path, Path], None]:
    def write(source: Path, goal: Path) -> None:
        ct_palettized(ct_model(source), bits).save(str(goal))

    return write


def ct_joint(source: Path, goal: Path) -> None:
    """Half of each tensor pruned by size, what is left as a palette of 4 bits."""
    from coremltools.optimize.coreml import (
        OpMagnitudePrunerConfig,
        OptimizationConfig,
        prune_weights,
    )

    config = OptimizationConfig(global_config=OpMagnitudePrunerConfig(target_sparsity=0.5))
    ct_palettized(prune_weights(ct_model(source), config), 4, joint_compression=True).save(str(goal))


def ct_palettized(model: Any, bits: int, **how: Any) -> Any:
    from coremltools.optimize.coreml import OpPalettizerConfig, OptimizationConfig, palettize_weights

    config = OptimizationConfig(global_config=OpPalettizerConfig(mode="kmeans", nbits=bits))
    return palettize_weights(model, config, **how)


def ct_model(source: Path) -> Any:
    from coremltools.models import MLModel

    return MLModel(str(source), skip_model_load=True)


# By name: the target whose artifacts it takes, and what writes its own.
WRITTEN: dict[str, tuple[str, Callable[[Path, Path], None]]] = {
    "onnxruntime quantize_dynamic int8": ("onnx", ort_dynamic),
    "onnxruntime MatMulNBits and Gather 4 bit": ("onnx", ort_4_bit),
    "coremltools linear int8": ("coreml", ct_linear),
    "coremltools palettize 4 bit": ("coreml", ct_palettize(4)),
    "coremltools palettize 2 bit": ("coreml", ct_palettize(2)),
    "coremltools joint, half pruned, 4 bit": ("coreml", ct_joint),
}
# Of other environments: where it is installed, and whether it takes ONNX; else an exported program.
FOREIGN: dict[str, tuple[str, bool]] = {
    "OpenVINO int8": ("openvino", True),
    "OpenVINO int4": ("openvino", True),
    "ai-edge-quantizer int8": ("litert", False),
    "ai-edge-quantizer int4": ("litert", False),
}


class Missing(Exception):
    """A peer that cannot be installed, or cannot do this model; says why."""


class Tool:
    """A tool in a process of its own, with the artifacts of all functions.

    Args:
        name: of `FOREIGN`.
        sources: by function.
        folder: for what it writes.

    Raises:
        Missing: it cannot be installed, or cannot compress one of them.
    """

    def __init__(self, name: str, sources: Mapping[str, Path], folder: Path) -> None:
        self.name = name
        try:
            python = latency_environments.python_of(FOREIGN[name][0])
        except RuntimeError as error:
            raise Missing(str(error)) from error
        folder.mkdir()
        words = [f"{function}={path}" for function, path in sources.items()]
        with (folder / "log.txt").open("w") as log:
            self._process = subprocess.Popen(
                [str(python), "-W", "ignore", str(HERE / "compression_worker.py"), name, str(folder), *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        ready = json.loads(self._read().readline() or b'{"missing": "it ended without a word"}')
        if "missing" in ready:
            self.close()
            raise Missing(ready["missing"])
        self.sizes: dict[str, int] = ready["sizes"]

    def call(self, function: str, inputs: Mapping[str, Array]) -> list[Array]:
        """The outputs, in the model's order."""
        made = io.BytesIO()
        np.savez(made, **inputs)
        assert self._process.stdin is not None
        content = made.getvalue()
        self._process.stdin.write(f"{function}\n".encode() + len(content).to_bytes(8, "little") + content)
        self._process.stdin.flush()
        length = int.from_bytes(self._read().read(8), "little")
        with np.load(io.BytesIO(self._read().read(length)), allow_pickle=False) as held:
            return [held[name] for name in held.files]

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._read().close()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        return self._process.stdout


@dataclass(slots=True, kw_only=True)
class Foreign:
    """One function of a tool, as a runtime."""

    tool: Tool
    function: str
    signature: Signature
    contract: Contract

    def describe(self) -> Description:
        """What it takes: what the contract allows, of a fixed batch where the tool has one."""
        specs = [contract_spec(each, self.contract) for each in self.signature.inputs]
        taken = tuple(specs) if FOREIGN[self.tool.name][1] else tuple(map(fixed, specs))
        return Description(
            runtime=self.tool.name,
            version="",
            precision="float32",
            compute_units="cpu",
            inputs=taken,
            outputs=tuple(contract_spec(each, self.contract) for each in self.signature.outputs),
        )

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name."""
        names = [each.name for each in self.signature.inputs]
        found = self.tool.call(self.function, {name: inputs[name] for name in names})
        return {each.name: array for each, array in zip(self.signature.outputs, found, strict=True)}

    def close(self) -> None:
        """Nothing: the tool is closed by who opened it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None: ...


def fixed(spec: TensorSpec) -> TensorSpec:
    """The spec of a program that was exported with the largest sizes that the contract allows."""
    sizes = [high or low for low, high in spec.bounds]
    bounds = tuple((size, size) for size in sizes)
    return TensorSpec(name=spec.name, dtype=spec.dtype, shape=tuple(sizes), bounds=bounds)


def exported(module: Any, contract: Contract, folder: Path) -> dict[str, Path]:
    """Every function as a program of torch.export, with the largest sizes that the contract allows."""
    import torch

    from pocketrec.convert.watch.contract_module import ContractModule

    folder.mkdir()
    made = {}
    for name, signature in contract.functions.items():
        inputs = []
        for each in signature.inputs:
            spec = fixed(contract_spec(each, contract))
            zeros = np.zeros([size or 1 for size in spec.shape], spec.dtype)
            inputs.append(torch.from_numpy(zeros))
        program = torch.export.export(ContractModule(module, contract, signature), tuple(inputs))
        made[name] = folder / f"{name}.pt2"
        torch.export.save(program, made[name])
    return made


def tell(text: str) -> None:
    print(text, file=sys.stderr)
