"""Rounded inputs of dense layers: ONNX and Core ML compute what the PyTorch reference does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.convert.capture.capture import Capture, capture
from pocketrec.convert.coreml.lower import to_coreml
from pocketrec.convert.onnx.dialect import NATIVE, STANDARD, Dialect, web_dialect
from pocketrec.convert.onnx.integer import check_products
from pocketrec.convert.onnx.lower import to_onnx
from pocketrec.errors import CannotCarry
from pocketrec.quantize import Plan, QuantizedTensor, compress
from pocketrec.quantize.activations import Observer, dense_layers, round_inputs
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.validate.open import open_artifact

ITEMS, WIDTH, LENGTH = 60, 16, 5
NOISE = 1e-5


class Tower(nn.Module):
    """A multilayer perceptron over the mean of a history; scores by the tied table."""

    def __init__(self) -> None:
        super().__init__()
        self.item = nn.Embedding(ITEMS, WIDTH, padding_idx=0)
        self.layers = nn.Sequential(
            nn.Linear(WIDTH, 24), nn.ReLU(), nn.Linear(24, 24, bias=False), nn.ReLU(), nn.Linear(24, WIDTH)
        )

    def forward(self, ids: Tensor) -> Tensor:
        scores: Tensor = self.layers(self.item(ids).mean(1)) @ self.item.weight.T
        return scores


class Block(nn.Module):
    """Attention and a feed-forward layer, run twice with the same weights, over a whole history."""

    def __init__(self) -> None:
        super().__init__()
        self.item = nn.Embedding(ITEMS, WIDTH, padding_idx=0)
        self.norm = nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.item(ids)
        for _ in range(2):
            q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
            x = x + self.out((q @ k.transpose(1, 2) / 4).softmax(-1) @ v)
            x = x + self.down(torch.relu(self.up(self.norm(x))))
        scores: Tensor = x[:, -1] @ self.item.weight.T
        return scores


CONTRACT = Contract(
    functions={
        "main": Signature(
            inputs=(Feature(name="ids", kind="id_sequence", shape=("batch", LENGTH), vocabulary="item"),),
            outputs=(Output(name="scores", meaning="score", shape=("batch", ITEMS)),),
        )
    },
    dims={"batch": Dim(max=8)},
    vocabularies={"item": VocabularySpec(size=ITEMS, padding_id=0)},
)


def probes() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        {"ids": torch.randint(0, ITEMS, (batch, LENGTH), generator=generator, dtype=torch.int32)}
        for batch in (3, 4, 1)
    ]


Made = tuple[nn.Module, Capture, dict[str, QuantizedTensor]]


def made(kind: type[nn.Module], *, dynamic: bool, scheme: Linear | None = None) -> Made:
    torch.manual_seed(0)
    model = kind().eval().requires_grad_(False)
    names = [name for name, each in model.named_parameters() if each.ndim == 2]
    module, codes = compress(model, Plan(tensors=dict.fromkeys(names, scheme or Linear())))
    layers = dense_layers(module, codes)
    observer = Observer(module, layers)
    for each in probes():
        module(each["ids"])
    observer.close()
    rounding = round_inputs(module, layers, observer.ranges, dynamic=dynamic)
    return rounding, capture(rounding, CONTRACT, "main", probes()), dict(codes)


def worst(path: Path, engine: str, module: nn.Module) -> float:
    with open_artifact(path, engine, function="main") as runtime:
        pairs = [
            (runtime.run({"ids": each["ids"].numpy()})["scores"], module(each["ids"]).numpy())
            for each in probes()
        ]
    return max(float(np.abs(given - expected).max()) for given, expected in pairs)


@pytest.mark.parametrize("kind", [Tower, Block])
@pytest.mark.parametrize("dynamic", [True, False])
@pytest.mark.parametrize("dialect", [NATIVE, STANDARD, web_dialect()])
def test_onnx_multiplies_in_integers_and_equals_the_reference(
    kind: type[nn.Module], dynamic: bool, dialect: Dialect, tmp_path: Path
) -> None:
    module, captured, codes = made(kind, dynamic=dynamic)
    path = to_onnx(captured, tmp_path / "m.onnx", tensors=codes, dialect=dialect)
    found = [node.op_type for node in onnx.load(path).graph.node]
    assert found.count("MatMulInteger") == (3 if kind is Tower else 8)
    assert ("DynamicQuantizeLinear" in found) == dynamic
    assert "DequantizeLinear" not in found
    assert worst(path, "onnxruntime", module) <= NOISE


def test_a_scale_for_the_whole_weight_multiplies_in_integers_too(tmp_path: Path) -> None:
    module, captured, codes = made(Tower, dynamic=True, scheme=Linear(granularity="per_tensor"))
    path = to_onnx(captured, tmp_path / "m.onnx", tensors=codes)
    assert worst(path, "onnxruntime", module) <= NOISE


@pytest.mark.parametrize("kind", [Tower, Block])
@pytest.mark.parametrize("target", ["iOS17", "iOS18"])
def test_core_ml_rounds_as_the_reference_does(kind: type[nn.Module], target: str, tmp_path: Path) -> None:
    module, captured, codes = made(kind, dynamic=False)
    path = to_coreml(
        captured,
        tmp_path / "m.mlpackage",
        precision="float32",
        minimum_deployment_target=target,
        flexible=("batch",),
        tensors=codes,
    )
    assert worst(path, "coreml-interpreter", module) <= NOISE


@pytest.mark.parametrize(
    ("dynamic", "target", "message"),
    [
        (True, "iOS18", "use 'static'"),
        (False, "iOS16", "'iOS17'; got 'iOS16'"),
    ],
)
def test_core_ml_refuses_what_it_has_no_ops_for(
    dynamic: bool, target: str, message: str, tmp_path: Path
) -> None:
    _, captured, codes = made(Tower, dynamic=dynamic)
    with pytest.raises(CannotCarry, match=message):
        to_coreml(captured, tmp_path / "m.mlpackage", minimum_deployment_target=target, tensors=codes)


@pytest.mark.parametrize("engine", ["onnxruntime", "coreml-interpreter"])
def test_an_artifact_says_that_its_inputs_are_rounded(engine: str, tmp_path: Path) -> None:
    _, captured, codes = made(Tower, dynamic=False)
    if engine == "onnxruntime":
        path = to_onnx(captured, tmp_path / "m.onnx", tensors=codes)
    else:
        path = to_coreml(captured, tmp_path / "m.mlpackage", precision="float32", tensors=codes)
    with open_artifact(path, engine, function="main") as runtime:
        assert runtime.describe().precision == "float32, static int8 activations"


def test_a_rounded_input_that_no_product_reads_is_an_error(tmp_path: Path) -> None:
    _, captured, codes = made(Tower, dynamic=True)
    del codes["layers.2.weight"]
    with pytest.raises(CannotCarry, match=r"MatMul .*no product with 8-bit codes; add its layer"):
        to_onnx(captured, tmp_path / "m.onnx", tensors=codes)
    make: Any = onnx.helper.make_node
    check_products([make("Relu", ["x"], ["y"])])
