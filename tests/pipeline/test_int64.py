"""Whole numbers beyond int32 (raw ids, times, hashes) are the module's own in ONNX, refused for Core ML."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pocketrec
from pocketrec.errors import BeyondInt32, ContractError, ExecutionError, Refused
from pocketrec.pipeline.convert import Conversion

ENDS = (2**31 - 1, 2**31, -(2**31) - 1, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 0, -1)


class Hashed(nn.Module):
    """Buckets of raw ids by a multiplicative hash, a day, and the raw number of the bucket."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.bucket = nn.Embedding(53, 4)
        self.number: Tensor
        self.register_buffer("number", torch.arange(53) * 3_000_000_001)

    def forward(self, raw: Tensor, when: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        place = (raw * 2654435761 + 97) % 53
        return self.bucket(place).sum(1), when // 86_400_000, self.number[place]


RAW = torch.tensor([[5, 2**40], [-(2**35), 7], [11, 12]])
WHEN = torch.tensor([1_764_366_000_123, 3, 2**41])


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Conversion:
    return pocketrec.convert_module(Hashed().eval(), (RAW, WHEN), tmp_path_factory.mktemp("wide"))


def test_inputs_and_outputs_are_int64_where_they_need_to_be(converted: Conversion) -> None:
    signature = converted.contract.functions["main"]
    assert [(each.name, each.dtype) for each in signature.inputs] == [("raw", "int64"), ("when", "int64")]
    assert [each.dtype for each in signature.outputs] == ["float32", "int64", "int64"]
    assert converted.refused["coreml"].startswith("input: function main: raw is int64, which Core ML has not")


def test_every_number_is_pytorchs_own_up_to_the_ends_of_int64(converted: Conversion) -> None:
    raw = np.array([[one, other] for one in ENDS for other in ENDS], np.int64)
    when = np.resize(np.array(ENDS, np.int64), len(raw))
    expected = Hashed().eval()(torch.from_numpy(raw), torch.from_numpy(when))
    with pocketrec.open(converted.artifacts["onnx"]) as artifact:
        given = list(artifact.run({"raw": raw, "when": when}).values())
    assert [str(each.dtype) for each in given] == ["float32", "int64", "int64"]
    assert np.allclose(given[0], expected[0].detach().numpy(), atol=1e-6)
    for one, two in zip(given[1:], expected[1:], strict=True):
        assert np.array_equal(one, two.numpy())


class Numbers(nn.Module):
    """The number of what stands at a place; small in the example, large for later places."""

    def forward(self, place: Tensor, factor: Tensor) -> Tensor:
        given: Tensor = place.sum(1) * factor.long()
        return given


def test_an_output_that_only_other_values_take_beyond_int32_is_refused_there_and_never_wraps(
    tmp_path: Path,
) -> None:
    example = (torch.tensor([[1, 2], [3, 4]]), torch.tensor([1, 2], dtype=torch.int32))
    done = pocketrec.convert_module(Numbers().eval(), example, tmp_path / "out", targets=("onnx",))
    (name,) = done.outputs
    large = {"place": np.full((1, 2), 2**30, np.int32), "factor": np.array([2**20], np.int32)}
    with pocketrec.open(done.artifacts["onnx"]) as artifact:
        assert artifact.run({"place": np.array([[7, 8]], np.int32), "factor": np.array([3], np.int32)})[
            name
        ].tolist() == [45]
        with pytest.raises(ExecutionError, match="out of data bounds"):
            artifact.run(large)


def test_a_contract_with_int32_is_held_to_it(converted: Conversion, tmp_path: Path) -> None:
    signature = converted.contract.functions["main"]
    narrow = replace(signature.outputs[2], dtype="int32")
    outputs = (*signature.outputs[:2], narrow)
    contract = replace(converted.contract, functions={"main": replace(signature, outputs=outputs)})
    with pytest.raises(BeyondInt32, match=rf"output {narrow.name}: the module gives \d{{10,}}, which int32"):
        pocketrec.convert_module(Hashed().eval(), (RAW, WHEN), tmp_path, contract=contract, targets=("onnx",))
    inputs = (replace(signature.inputs[0], dtype="int32"), signature.inputs[1])
    contract = replace(converted.contract, functions={"main": replace(signature, inputs=inputs)})
    with pytest.raises(ContractError, match=r"input raw: the example holds -34359738368 to 1099511627776"):
        pocketrec.convert_module(Hashed().eval(), (RAW, WHEN), tmp_path, contract=contract, targets=("onnx",))


def test_a_contract_may_ask_for_int64_though_the_example_is_small(
    converted: Conversion, tmp_path: Path
) -> None:
    small = (torch.tensor([[1, 2], [3, 4]]), torch.tensor([5, 6]))
    done = pocketrec.convert_module(
        Hashed().eval(), small, tmp_path, contract=converted.contract, targets=("onnx",)
    )
    with pocketrec.open(done.artifacts["onnx"]) as artifact:
        assert [each.dtype for each in artifact.describe().inputs] == ["int64", "int64"]
    with pytest.raises(Refused, match="raw is int64, which Core ML has not"):
        pocketrec.convert_module(
            Hashed().eval(), small, tmp_path, contract=converted.contract, targets=("coreml",)
        )


class Places(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.item = nn.Embedding(30, 4)

    def forward(self, items: Tensor) -> Tensor:
        ids: Tensor = (self.item(items).mean(1) @ self.item.weight.T).topk(3).indices
        return ids


def test_ids_of_a_table_stay_int32(tmp_path: Path) -> None:
    done = pocketrec.convert_module(
        Places().eval(), torch.tensor([[1, 2], [3, 4]]), tmp_path, targets=("onnx",)
    )
    signature = done.contract.functions["main"]
    assert (signature.inputs[0].dtype, signature.outputs[0].dtype) == ("int32", "int32")
