"""A peer of `compression.py` in an environment of its own: compresses artifacts, then answers calls.

    compression_worker.py TOOL FOLDER FUNCTION=SOURCE ...

<- {"sizes": {FUNCTION: bytes}, "version": ...}     or {"missing": reason}, a line of JSON
-> FUNCTION, a line; 8 bytes that say how long, and the inputs as .npz
<- 8 bytes and the outputs as .npz, in the model's order
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Arrays = Mapping[str, Any]
Call = Callable[[Arrays], list[Any]]


def openvino(bits: int) -> Callable[[Path, Path], tuple[Call, int]]:
    """Weights in 8 or 4 bits per row, as NNCF's documentation shows; tables too."""

    def make(source: Path, goal: Path) -> tuple[Call, int]:
        import nncf
        import openvino

        modes = nncf.CompressWeightsMode
        ways = {
            8: {"mode": modes.INT8_SYM},
            4: {"mode": modes.INT4_SYM, "group_size": -1, "ratio": 1.0, "all_layers": True},
        }
        model = nncf.compress_weights(openvino.Core().read_model(source), **ways[bits])
        path = goal.with_suffix(".xml")
        openvino.save_model(model, str(path), compress_to_fp16=False)
        compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        request = compiled.create_infer_request()

        def call(inputs: Arrays) -> list[Any]:
            found = request.infer(dict(inputs))
            return [np.array(found[each]) for each in compiled.outputs]

        return call, path.stat().st_size + path.with_suffix(".bin").stat().st_size

    return make


def litert(name: str) -> Callable[[Path, Path], tuple[Call, int]]:
    """One of ai-edge-quantizer's recipes, on what litert-torch converts."""

    def make(source: Path, goal: Path) -> tuple[Call, int]:
        import litert_torch
        import torch
        from ai_edge_litert.interpreter import Interpreter
        from ai_edge_quantizer import quantizer, recipe

        program = torch.export.load(source)
        args, _ = program.example_inputs
        whole, path = goal.with_suffix(".float.tflite"), goal.with_suffix(".tflite")
        litert_torch.convert(called(program.module()), args).export(str(whole))
        tool = quantizer.Quantizer(str(whole))
        tool.load_quantization_recipe(getattr(recipe, name)())
        tool.quantize().export_model(str(path), overwrite=True)
        runner = Interpreter(model_path=str(path), num_threads=1).get_signature_runner()
        takes = sorted(runner.get_input_details(), key=lambda each: int(each.rsplit("_", 1)[-1]))
        gives = sorted(runner.get_output_details(), key=lambda each: int(each.rsplit("_", 1)[-1]))

        def call(inputs: Arrays) -> list[Any]:
            found = runner(**dict(zip(takes, inputs.values(), strict=True)))
            return [np.array(found[each]) for each in gives]

        return call, path.stat().st_size

    return make


def called(module: Any) -> Any:
    """An exported program's module as one that can be put into eval mode, as the converter does."""
    import torch

    class Called(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.behind = [module]

        def forward(self, *inputs: Any) -> Any:
            return self.behind[0](*inputs)

    return Called()


TOOLS = {
    "OpenVINO int8": openvino(8),
    "OpenVINO int4": openvino(4),
    "ai-edge-quantizer int8": litert("dynamic_wi8_afp32"),
    "ai-edge-quantizer int4": litert("dynamic_wi4_afp32"),
}


def main() -> None:
    tool, folder = sys.argv[1], Path(sys.argv[2])
    sources = dict(each.split("=", 1) for each in sys.argv[3:])
    # What tools print goes to stderr; the real stdout carries the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    calls: dict[str, Call] = {}
    sizes: dict[str, int] = {}
    try:
        for function, source in sources.items():
            calls[function], sizes[function] = TOOLS[tool](Path(source), folder / function)
        ready = {"sizes": sizes}
    except Exception as error:
        ready = {"missing": f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:200]}"}
    answers.write(json.dumps(ready).encode() + b"\n")
    answers.flush()
    while calls and (line := sys.stdin.buffer.readline()):
        length = int.from_bytes(sys.stdin.buffer.read(8), "little")
        with np.load(io.BytesIO(sys.stdin.buffer.read(length)), allow_pickle=False) as held:
            inputs = {name: held[name] for name in held.files}
        made = io.BytesIO()
        np.savez(made, *calls[line.decode().strip()](inputs))
        content = made.getvalue()
        answers.write(len(content).to_bytes(8, "little") + content)
        answers.flush()


if __name__ == "__main__":
    main()
