"""Core ML programs: the contract's names, safe indices, float32 scores, stored once, same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from coremltools.converters.mil.frontend.milproto.load import load
from coremltools.converters.mil.mil.types import builtin_to_string
from coremltools.models import MLModel
from torch import Tensor, nn

import pocketrec
from pocketrec.contract import Contract, Feature, Output, Signature
from pocketrec.convert.capture.capture import Capture, capture
from pocketrec.convert.coreml.lower import program_for, to_coreml
from pocketrec.convert.coreml.passes import OUR_PASSES, UNSAFE, recommender_pipeline
from pocketrec.convert.coreml.patches import UNSAFE_BEHIND, our_passes
from pocketrec.errors import Refused

Probes = list[dict[str, Tensor]]


def operations(path: Path) -> list[Any]:
    spec = MLModel(str(path), skip_model_load=True).get_spec()
    weights = str(path / "Data/com.apple.CoreML/weights")
    program = load(spec, spec.specificationVersion, weights)
    return list(program.functions["main"].operations)


def tree(path: Path) -> str:
    files = sorted(each for each in path.rglob("*") if each.is_file())
    digest = hashlib.sha256()
    for each in files:
        digest.update(str(each.relative_to(path)).encode() + each.read_bytes())
    return digest.hexdigest()


def test_inputs_and_outputs_have_the_contracts_names(
    captured: Capture, contract: Contract, tmp_path: Path
) -> None:
    path = to_coreml(captured, tmp_path / "tiny.mlpackage")
    spec = MLModel(str(path), skip_model_load=True).get_spec()
    assert [each.name for each in spec.description.input] == ["history", "genres"]
    assert {each.name for each in spec.description.output} == {"scores", "best_scores", "best_ids"}
    assert spec.description.metadata.userDefined["pocketrec.contract_sha256"] == contract.sha256()


def test_the_same_module_gives_the_same_package_whatever_was_lowered_before(
    captured: Capture, tiny: nn.Module, contract: Contract, probes: Probes, tmp_path: Path
) -> None:
    """Targets share a program of the capture; none changes what the next one gets."""
    to_coreml(captured, tmp_path / "first.mlpackage", precision="float32")
    captures = (captured, capture(tiny, contract, "main", probes))
    trees = {tree(to_coreml(each, tmp_path / f"{number}.mlpackage")) for number, each in enumerate(captures)}
    assert len(trees) == 1
    assert program_for(captured, ()) is program_for(captured, ())
    assert not replace(captured).fixed, "a changed capture makes its own programs"


def test_scores_are_float32_from_a_tied_table_that_is_stored_once_as_float16(
    captured: Capture, tmp_path: Path
) -> None:
    path = to_coreml(captured, tmp_path / "tiny.mlpackage")
    ops = operations(path)
    tables = [op for op in ops if op.op_type == "constexpr_cast"]
    readers = {each.op_type for op in tables for each in op.outputs[0].child_ops}
    assert len(tables) == 1
    assert readers == {"gather", "matmul"}
    product = next(op for op in tables[0].outputs[0].child_ops if op.op_type == "matmul")
    assert builtin_to_string(product.outputs[0].dtype) == "fp32"
    stored = (path / "Data/com.apple.CoreML/weights/weight.bin").stat().st_size
    assert stored < 2 * 300 * 16 * 2


def test_a_range_is_kept_where_the_recipe_asks_for_it(captured: Capture, tmp_path: Path) -> None:
    path = to_coreml(captured, tmp_path / "tiny.mlpackage", flexible=["batch"])
    spec = MLModel(str(path), skip_model_load=True).get_spec()
    ranges = spec.description.input[0].type.multiArrayType.shapeRange.sizeRanges
    assert [(each.lowerBound, each.upperBound) for each in ranges] == [(1, 8), (8, 8)]
    assert program_for(captured, ["batch"]) is not program_for(captured, ())


def test_indices_of_a_large_catalogue_stay_int32(
    make_tiny: Callable[[int], nn.Module],
    make_contract: Callable[[int], Contract],
    make_probes: Callable[[int], Probes],
    tmp_path: Path,
) -> None:
    captured = capture(make_tiny(70_000), make_contract(70_000), "main", make_probes(70_000))
    ops = operations(to_coreml(captured, tmp_path / "large.mlpackage"))
    top_k = next(op for op in ops if op.op_type == "topk")
    assert builtin_to_string(top_k.outputs[1].dtype) == "int32"
    assert {builtin_to_string(op.indices.dtype) for op in ops if op.op_type == "gather"} == {"int32"}


def test_the_unsafe_passes_exist_in_coremltools_and_are_left_out() -> None:
    import coremltools as ct

    assert set(ct.PassPipeline().passes) >= UNSAFE
    assert set(ct.PassPipeline.get_pipeline("backend_mlprogram").passes) >= UNSAFE_BEHIND
    with our_passes(OUR_PASSES):
        assert not UNSAFE & set(recommender_pipeline(float16=True).passes)


class Hashed(nn.Module):
    def forward(self, ids: Tensor) -> Tensor:
        return ((ids.long() * 2654435761) >> 20).float()


def test_a_64_bit_constant_is_refused_instead_of_saturated(tmp_path: Path) -> None:
    feature = Feature(name="ids", kind="length", shape=(4,))
    output = Output(name="y", meaning="score", shape=(4,))
    contract = Contract(functions={"main": Signature(inputs=(feature,), outputs=(output,))})
    probes = [{"ids": torch.arange(4, dtype=torch.int32) + start} for start in range(2)]
    with pytest.raises(Refused, match=r"2654435761 does not fit in Core ML's int32"):
        to_coreml(capture(Hashed(), contract, "main", probes), tmp_path / "hashed.mlpackage")


def test_ids_in_a_matrix_of_real_numbers_never_pass_through_float16(tmp_path: Path) -> None:
    """Float16 rounds 4095 to 4096: the row before would be read."""

    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(5000, 4)

        def forward(self, x: Tensor) -> Tensor:
            rows: Tensor = self.table(x[:, 0].long()) * x[:, 1:2]
            return rows

    torch.manual_seed(0)
    module = Mixed().eval()
    example = torch.tensor([[4095.0, 0.5], [2049.0, 1.5], [4097.0, 2.0]])
    done = pocketrec.convert_module(module, (example,), tmp_path, targets=("coreml",), precision="float16")
    with pocketrec.open(done.artifacts["coreml"]) as package:
        given = package.run({"x": example.numpy()})["output"]
    assert np.allclose(given, module(example).detach().numpy(), rtol=2e-3, atol=1e-3)
