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


def make_bundle(path: Path) -> Path:
    """A bundle of an ONNX file that doubles its input, with one golden vector."""
    import json

    import onnx
    from onnx import TensorProto, helper

    from pocketrec.contract import Contract, Dim, Feature, Output, Signature
    from pocketrec.package.bundle import seal
    from pocketrec.package.golden import Vector, write_golden

    x = Feature(name="x", kind="dense", dtype="float32", shape=("batch", 2))
    y = Output(name="scores", meaning="score", shape=("batch", 2))
    contract = Contract(functions={"main": Signature(inputs=(x,), outputs=(y,))}, dims={"batch": Dim(max=4)})
    values = [helper.make_tensor_value_info(each.name, TensorProto.FLOAT, ["batch", 2]) for each in (x, y)]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["scores"])], "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    (path / "artifacts/onnx").mkdir(parents=True)
    onnx.save(model, str(path / "artifacts/onnx/main.onnx"))
    (path / "contract.json").write_text(json.dumps(contract.to_dict()))
    given = np.array([[1.0, 2.0]], np.float32)
    vector = Vector(name="one", inputs={"x": given}, outputs={"scores": 2 * given})
    write_golden(path, {"main": (vector,)}, {"onnx": {"main": {"scores": 1e-6}}})
    recipe = {"name": "double", "version": "1", "targets": {"onnx": {"format": "onnx"}}}
    (path / "recipe.json").write_text(json.dumps(recipe))
    gate = {"gate": "a", "target": "onnx", "runtime": "onnxruntime", "status": "passed", "message": ""}
    said = {"recipe": "double", "contract_sha256": contract.sha256(), "gates": [gate], "results": []}
    (path / "evidence").mkdir()
    (path / "evidence/evidence.json").write_text(json.dumps(said))
    seal(path, name="double", version="1", artifacts={"onnx": {"main": "artifacts/onnx/main.onnx"}})
    return path


def make_exported(path: Path) -> Path:
    """A .pt2 file of a lookup and a product, with free sizes."""
    import torch

    class Scores(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.items = torch.nn.Embedding(7, 4)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            rows: torch.Tensor = self.items(ids)
            return rows.reshape(ids.shape[0] * 2, 2).sum(1)

    shapes = ({0: torch.export.Dim("batch", max=8)},)
    program = torch.export.export(Scores().eval(), (torch.ones(3, dtype=torch.long),), dynamic_shapes=shapes)
    torch.export.save(program, path)
    return path


RECIPE = """schema = 1
name = "double"
version = "1"
[model]
factory = "model.py:make"
arguments = { size = 2 }
[contract.dims.batch]
max = 4
[[contract.functions.main.inputs]]
name = "x"
kind = "dense"
dtype = "float32"
shape = ["batch", 2]
[[contract.functions.main.outputs]]
name = "scores"
meaning = "score"
shape = ["batch", 2]
[targets.onnx]
[evaluate]
data = "model.py:data"
kind = "ranking"
function = "main"
output = "scores"
k = 1
[gates]
max_abs_error = 1e-4
"""
