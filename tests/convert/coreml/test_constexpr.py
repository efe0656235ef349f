"""Compressed tensors in Core ML: the same codes, by every deployment target that can carry them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pocketrec.convert.capture.capture import Capture
from pocketrec.convert.coreml.constexpr import check_target, lowest_target
from pocketrec.convert.coreml.lower import to_coreml
from pocketrec.errors import CannotCarry
from pocketrec.origin import Told
from pocketrec.quantize import Plan, compress
from pocketrec.quantize.schemes import Scheme, scheme_to_table
from pocketrec.quantize.schemes.float16 import Float16
from pocketrec.quantize.schemes.hot_rows import HotRows
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.palette import Palette
from pocketrec.quantize.schemes.product import Product
from pocketrec.quantize.schemes.scaled_palette import ScaledPalette
from pocketrec.quantize.schemes.sparse import Sparse
from pocketrec.quantize.usage import Usage
from pocketrec.validate.artifact.sizes import describe_artifact, tensor_sizes
from pocketrec.validate.artifact.stored import of_ops
from pocketrec.validate.coreml_program import CoreMLInterpreter
from pocketrec.validate.open import open_graph

READS = {"item.weight": Usage(popularity=np.arange(60.0))}
ITEMS, WIDTH = 60, 16
IDS = torch.tensor([59, 0, 7], dtype=torch.int32)
CaptureSmall = Callable[[nn.Module], Capture]

FROM_IOS16: list[Scheme] = [
    Linear(),
    Linear(symmetric=False),
    Linear(granularity="per_tensor"),
    *(Palette(bits=bits) for bits in (1, 2, 4, 6, 8)),
    Sparse(sparsity=0.5),
    Float16(),
]
FROM_IOS18: list[Scheme] = [
    Linear(bits=4, clipping="search"),
    Linear(bits=4, symmetric=False, granularity="per_block", block_size=8),
    Palette(bits=3),
    Palette(bits=4, groups=4),
    Palette(bits=4, groups=4, axis="rows"),
    ScaledPalette(bits=3),
    ScaledPalette(bits=2, block_size=8),
    Product(bits=6, width=4),
    Product(bits=4, width=2, shared=True),
    HotRows(),
    HotRows(cold_bits=2),
    HotRows(hot_bits=4, cold_bits=6, cold_width=4),
    Product(bits=6, width=3, basis="principal"),
    HotRows(hot_bits=4, cold_bits=6, cold_width=4, cold_basis="principal"),
]
ALL = [(each, "iOS16") for each in FROM_IOS16] + [(each, "iOS18") for each in FROM_IOS16[:2] + FROM_IOS18]


def names(value: Any) -> str | None:
    if not isinstance(value, Scheme):
        return None
    return "-".join(str(each) for each in scheme_to_table(value).values())


@pytest.mark.parametrize(("scheme", "target"), ALL, ids=names)
def test_the_program_equals_the_compressed_reference(
    scheme: Scheme, target: str, small: nn.Module, capture_small: CaptureSmall, tmp_path: Path
) -> None:
    other = scheme if scheme.scheme != "hot_rows" else Linear()
    plan = Plan(tensors={"item.weight": scheme, "mix.weight": other})
    module, codes = compress(small, plan, usage=READS)
    options: dict[str, Any] = {"minimum_deployment_target": target, "tensors": codes}
    path = to_coreml(capture_small(module), tmp_path / "small.mlpackage", precision="float32", **options)
    with CoreMLInterpreter(path) as interpreter:
        given = interpreter.run({"ids": IDS.numpy()})["scores"]
    assert float(np.abs(given - module(IDS).numpy()).max()) < 1e-5


@pytest.mark.parametrize("scheme", [Linear(), ScaledPalette(), HotRows(), Sparse()], ids=names)
def test_in_float16_the_table_is_read_once_and_scores_are_near(
    scheme: Scheme, small: nn.Module, capture_small: CaptureSmall, tmp_path: Path
) -> None:
    module, codes = compress(small, Plan(tensors={"item.weight": scheme}), usage=READS)
    options: dict[str, Any] = {"minimum_deployment_target": "iOS18", "tensors": codes}
    path = to_coreml(capture_small(module), tmp_path / "small.mlpackage", **options)
    with CoreMLInterpreter(path) as interpreter:
        given = interpreter.run({"ids": IDS.numpy()})["scores"]
    expected = module(IDS).numpy()
    assert float(np.abs(given - expected).max()) < 0.01 * np.abs(expected).max()


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_tied_table_is_one_set_of_codes_in_the_file(
    precision: str, small: nn.Module, capture_small: CaptureSmall, tmp_path: Path
) -> None:
    module, codes = compress(small, Plan(tensors={"item.weight": Linear()}))
    path = to_coreml(capture_small(module), tmp_path / "small.mlpackage", precision=precision, tensors=codes)
    tables = [each for each in tensor_sizes(path) if each.shape == (ITEMS, WIDTH)]
    assert [each.dtype for each in tables] == ["int8"]


@pytest.mark.parametrize("scheme", FROM_IOS18, ids=names)
def test_what_a_target_cannot_carry_is_an_error_with_the_lowest_that_can(scheme: Scheme) -> None:
    tensor = scheme.quantize(
        "item.weight", np.eye(60, 16, dtype=np.float32), usage=Usage(popularity=np.arange(60.0))
    )
    message = r"item\.weight: .* needs minimum_deployment_target iOS18, the recipe asks for iOS17"
    with pytest.raises(CannotCarry, match=message):
        check_target(tensor, "iOS17")
    check_target(tensor, "iOS18")


def test_an_impossible_target_leaves_no_package(
    small: nn.Module, capture_small: CaptureSmall, tmp_path: Path
) -> None:
    module, codes = compress(small, Plan(tensors={"item.weight": Linear(bits=4)}))
    with pytest.raises(CannotCarry, match=r"item\.weight: linear 4 bit per_row"):
        to_coreml(capture_small(module), tmp_path / "small.mlpackage", tensors=codes)
    assert not (tmp_path / "small.mlpackage").exists()


def test_ios15_carries_nothing() -> None:
    tensors = [each.quantize("w", np.eye(8, dtype=np.float32)) for each in FROM_IOS16]
    assert {lowest_target(each) for each in tensors} == {"iOS16"}


def test_a_package_is_audited_by_what_its_lowering_told_and_by_its_ops(
    small: nn.Module, capture_small: CaptureSmall, tmp_path: Path
) -> None:
    module, codes = compress(small, Plan(tensors={"item.weight": Linear()}))
    told = Told()
    path = to_coreml(
        capture_small(module), tmp_path / "small.mlpackage", precision="float32", tensors=codes, told=told
    )
    (said,) = describe_artifact(path, known=lambda graph, path: (told.carried, "")).compressed
    assert (said.name, said.method, said.bytes_after) == ("item.weight", "linear 8 bit per_row, scales", 1080)
    (read,) = of_ops(open_graph(path))
    assert (read.method, read.shape) == ("constexpr_affine_dequantize", (60, 16))
    assert read.bytes_after >= 60 * 16 + 60 * 4
