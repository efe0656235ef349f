"""The compressed reference: dequantized values, ties kept, the original untouched."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketrec.errors import PlanError
from pocketrec.quantize import Plan, compress, plan_from_table
from pocketrec.quantize.reference import compressible
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.palette import Palette
from pocketrec.quantize.tensor import LinearTensor


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.item = nn.Embedding(50, 8, padding_idx=0)
        self.mix = nn.Linear(8, 8)
        self.out = nn.Linear(8, 50, bias=False)
        self.out.weight = self.item.weight
        self.register_buffer("catalogue", torch.randn(10, 8))
        self.register_buffer("count", torch.arange(3))

    def forward(self, ids: Tensor) -> Tensor:
        scores: Tensor = self.out(self.mix(self.item(ids)))
        return scores


@pytest.fixture
def tied() -> Tied:
    torch.manual_seed(0)
    return Tied().eval().requires_grad_(False)


def test_the_copy_carries_the_dequantized_values_and_the_original_its_own(tied: Tied) -> None:
    before = tied.item.weight.clone()
    copy, codes = compress(tied, Plan(tensors={"item.weight": Linear(bits=4)}))
    assert torch.equal(tied.item.weight, before)
    assert np.array_equal(copy.item.weight.numpy(), codes["item.weight"].dequantize())
    assert not torch.equal(copy.item.weight, before)


def test_tied_parameters_stay_tied_and_have_one_set_of_codes(tied: Tied) -> None:
    copy, codes = compress(tied, Plan(tensors={"*": Linear()}))
    assert copy.out.weight is copy.item.weight
    assert list(codes) == ["item.weight", "mix.weight", "mix.bias", "catalogue"]


def test_what_is_made_already_is_taken_and_the_rest_is_made(tied: Tied) -> None:
    plan = Plan(tensors={"item.weight": Linear(), "mix.weight": Linear()})
    _, fresh = compress(tied, plan)
    copy, codes = compress(tied, plan, made={"item.weight": fresh["item.weight"]})
    assert codes["item.weight"] is fresh["item.weight"]
    assert codes["mix.weight"] is not fresh["mix.weight"]
    assert np.array_equal(copy.mix.weight.numpy(), fresh["mix.weight"].dequantize())
    assert np.array_equal(copy.item.weight.numpy(), fresh["item.weight"].dequantize())


def test_what_is_not_planned_is_shared_with_the_original(tied: Tied) -> None:
    copy, _ = compress(tied, Plan(tensors={"item.weight": Linear()}))
    assert copy.mix.weight is tied.mix.weight


def test_integer_buffers_are_no_tensors_to_compress(tied: Tied) -> None:
    assert "count" not in compressible(tied)


def test_the_first_pattern_that_fits_decides(tied: Tied) -> None:
    plan = Plan(tensors={"mix.*": Palette(bits=2), "*.weight": Linear(bits=4)})
    _, codes = compress(tied, plan)
    assert {name: each.scheme for name, each in codes.items()} == {
        "item.weight": "linear",
        "mix.weight": "palette",
        "mix.bias": "palette",
    }


def test_a_pattern_that_fits_nothing_is_an_error(tied: Tied) -> None:
    with pytest.raises(PlanError, match=r"'items\.weight' fits no tensor; the module has item\.weight, mix"):
        compress(tied, Plan(tensors={"items.weight": Linear()}))


def test_a_plan_can_be_written_down_and_replayed(tied: Tied) -> None:
    plan = Plan(tensors={"item.weight": Linear(bits=4, clipping="search"), "mix.*": Palette(groups=2)})
    again = plan_from_table(tomllib.loads(plan.to_toml())["compress"]["tensors"])
    assert again == plan
    one, other = (compress(tied, each)[1]["item.weight"] for each in (plan, again))
    assert isinstance(one, LinearTensor)
    assert isinstance(other, LinearTensor)
    assert one.codes.tobytes() == other.codes.tobytes()
