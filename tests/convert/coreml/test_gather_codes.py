"""Rows gathered as codes in Core ML: the same numbers, one constant of bytes, lookups only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketrec.convert.capture.capture import Capture
from pocketrec.convert.coreml.gather_codes import check_gathered
from pocketrec.convert.coreml.lower import to_coreml
from pocketrec.errors import CannotCarry
from pocketrec.quantize import Plan, compress
from pocketrec.quantize.schemes import Scheme
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.palette import Palette
from pocketrec.validate.artifact.sizes import describe_artifact
from pocketrec.validate.coreml_program import CoreMLInterpreter

CaptureSmall = Callable[[nn.Module], Capture]
IDS = torch.tensor([59, 0, 7], dtype=torch.int32)


class Lookup(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.item = nn.Embedding(60, 16, padding_idx=0)
        self.out = nn.Linear(16, 60)

    def forward(self, ids: Tensor) -> Tensor:
        scores: Tensor = self.out(torch.tanh(self.item(ids)))
        return scores


@pytest.mark.parametrize(
    "scheme", [Linear(), Linear(symmetric=False), Linear(granularity="per_tensor")], ids=str
)
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_gathered_codes_give_the_rows_of_the_reference(
    scheme: Scheme, precision: str, capture_small: CaptureSmall, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    module, codes = compress(Lookup().eval().requires_grad_(False), Plan(tensors={"item.weight": scheme}))
    path = to_coreml(
        capture_small(module),
        tmp_path / "x.mlpackage",
        precision=precision,
        tensors=codes,
        gathered=("item.*",),
    )
    with CoreMLInterpreter(path) as interpreter:
        given = interpreter.run({"ids": IDS.numpy()})["scores"]
    expected = module(IDS).numpy()
    assert float(np.abs(given - expected).max()) < (1e-5 if precision == "float32" else 0.01)
    described = describe_artifact(path)
    assert not any(op.startswith("constexpr_affine") for op in described.op_counts)
    assert next(each.shape for each in described.tensors if each.dtype in ("int8", "uint8")) == (60, 16)


def test_a_table_that_a_product_reads_too_is_refused_by_name(
    small: nn.Module, capture_small: CaptureSmall, tmp_path: Path
) -> None:
    module, codes = compress(small, Plan(tensors={"item.weight": Linear()}))
    with pytest.raises(CannotCarry, match=r"item\.weight: gather_codes serves lookups only, and \w+ reads"):
        to_coreml(
            capture_small(module),
            tmp_path / "x.mlpackage",
            precision="float32",
            tensors=codes,
            gathered=("item.weight",),
        )


@pytest.mark.parametrize(
    ("scheme", "target", "message"),
    [
        (
            Linear(),
            "iOS16",
            r"w: gather_codes needs minimum_deployment_target iOS17, the recipe asks",
        ),
        (Linear(bits=4), "iOS18", r"w: gather_codes reads linear tables of 8 bits .*this is linear 4 bit"),
        (Palette(bits=8), "iOS18", r"this is palette 8 bit"),
    ],
)
def test_what_cannot_be_gathered_is_named(scheme: Scheme, target: str, message: str) -> None:
    with pytest.raises(CannotCarry, match=message):
        check_gathered(scheme.quantize("w", np.eye(8, dtype=np.float32)), target)
