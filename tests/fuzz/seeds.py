"""Small whole files of every format that is read from outside, made by code: what mutation starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

MODEL, WEIGHTS = "Data/com.apple.CoreML/model.mlmodel", "Data/com.apple.CoreML/weights/weight.bin"
WEIGHT = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def make_onnx(path: Path, *, external: str = "") -> Path:
    """A file that computes x @ WEIGHT, with its weight in a file of that name beside it."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size])
        for name, size in (("x", 3), ("y", 4))
    ]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
        "g",
        values[:1],
        values[1:],
        [numpy_helper.from_array(WEIGHT, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    if external:
        onnx.save(model, str(path), save_as_external_data=True, location=external, size_threshold=8)
    else:
        path.write_bytes(model.SerializeToString())
    return path


def make_package(path: Path) -> Path:
    """A Core ML package that computes x @ W of (2, 3) @ (3, 400), with W in its weight file."""
    import coremltools as ct
    from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name everywhere in MIL

    weight = np.random.default_rng(2).normal(size=(3, 400)).astype(np.float32)

    def program(x: Any) -> Any:
        return mb.matmul(x=x, y=weight, name="y")

    made = mb.program(input_specs=[mb.TensorSpec((2, 3))], opset_version=ct.target.iOS17)(program)
    model: Any = ct.convert(
        made,
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS17,
        compute_precision=ct.precision.FLOAT32,
    )
    model.save(str(path))
    return path
