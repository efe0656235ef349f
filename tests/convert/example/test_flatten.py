"""Nested inputs and outputs become named tensors and back, whatever the module takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketrec.convert.example.flatten import FlatModule, flatten_example, output_names, unique_names
from pocketrec.errors import InputError, Refused

IDS, PRICE = torch.tensor([[1, 2], [3, 4]]), torch.tensor([0.5, 0.25])


@dataclass
class Batch:
    ids: Tensor
    price: Tensor


class Takes(nn.Module):
    """Returns what it is given as the given function makes of it."""

    def forward(self, batch: Any, scale: float = 1.0) -> Any:
        return batch


class Keywords(nn.Module):
    def forward(self, ids: Tensor, price: Tensor, factor: Tensor | None = None) -> dict[str, Tensor]:
        return {"sum": ids.sum(1) * price}


@pytest.mark.parametrize(
    ("module", "example", "names"),
    [
        (Takes(), (IDS,), ("batch",)),
        (Takes(), IDS, ("batch",)),
        (Takes(), ({"ids": IDS, "price": PRICE},), ("ids", "price")),
        (Takes(), {"ids": IDS, "price": PRICE}, ("ids", "price")),
        (Takes(), ([IDS, PRICE], 2.0), ("batch_0", "batch_1")),
        (Takes(), (Batch(IDS, PRICE),), ("ids", "price")),
        (Keywords(), {"price": PRICE, "ids": IDS}, ("price", "ids")),
    ],
)
def test_every_tensor_has_the_name_that_leads_to_it(module: nn.Module, example: Any, names: Any) -> None:
    flat = flatten_example(module, example)
    assert flat.names == names
    assert {each.dtype for each in flat.tensors} <= {torch.int32, torch.float32}


def test_the_module_gets_its_own_dtypes_and_structure_back() -> None:
    example = flatten_example(Takes(), (Batch(IDS, PRICE.double()),))
    args, kwargs = example.unflatten(example.tensors)
    assert isinstance(args[0], Batch)
    assert args[0].ids.dtype == torch.int64
    assert args[0].price.dtype == torch.float64
    assert kwargs == {}


def test_outputs_are_flattened_and_a_lost_row_axis_is_put_back() -> None:
    class Squeezed(nn.Module):
        def forward(self, ids: Tensor) -> dict[str, Any]:
            return {"score": ids.float().sum(1).squeeze(), "none": None}

    flat = FlatModule(Squeezed(), flatten_example(Squeezed(), (IDS,)))
    (single,) = flat(IDS[:1])
    assert single.shape == ()
    flat.outlines = (("batch",),)
    (single,) = flat(IDS[:1])
    assert single.shape == (1,)
    assert output_names(flat.raw(IDS), ["ids"]) == ("score",)


def test_names_fit_every_target_and_stand_once() -> None:
    assert unique_names(["a b", "a_b", "0", "class", "Ünit"]) == ("a_b", "a_b_1", "x_0", "class_value", "nit")
    assert unique_names(["ids"], taken=["IDS"]) == ("ids_1",)
    assert unique_names(["tensor", "any", "tensors"]) == ("tensor_value", "any_value", "tensors")


def test_an_example_without_a_tensor_is_an_error() -> None:
    with pytest.raises(InputError, match=r"Takes: the example has no tensor"):
        flatten_example(Takes(), ({"a": 1},))


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(2**31 - 1, torch.int32), (-(2**31), torch.int32), (2**31, torch.int64), (-(2**31) - 1, torch.int64)],
)
def test_whole_numbers_are_int64_only_where_int32_does_not_hold_them(value: int, dtype: torch.dtype) -> None:
    (given,) = flatten_example(Takes(), (torch.tensor([0, value]),)).tensors
    assert given.dtype == dtype
    assert given.tolist() == [0, value]


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (torch.zeros(2, dtype=torch.complex64), r"batch is torch.complex64"),
        (torch.eye(2).to_sparse(), r"batch is torch.float32, torch.sparse_coo"),
    ],
)
def test_what_no_target_takes_is_refused_by_name(tensor: Tensor, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        flatten_example(Takes(), (tensor,))


def test_a_number_beyond_float32_is_named_and_infinity_is_none() -> None:
    module = nn.Identity()
    with pytest.raises(InputError, match=r"input input holds 1e\+300; float32 cannot, rescale it"):
        flatten_example(module, torch.tensor([1.0, 1e300], dtype=torch.float64))
    flat = flatten_example(module, torch.tensor([1.0, float("inf")], dtype=torch.float64))
    assert flat.tensors[0].tolist() == [1.0, float("inf")]


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=">i4").reshape(2, 3),
        np.arange(6, dtype=">f8").reshape(2, 3),
        np.arange(6).reshape(2, 3)[::-1, ::-1],
        np.arange(6).reshape(3, 2).T,
        np.array(7, ">i8"),
    ],
)
def test_an_array_of_any_order_goes_in_with_its_numbers(array: Any) -> None:
    flat = flatten_example(Takes(), (array,))
    assert flat.tensors[0].shape == array.shape
    assert flat.tensors[0].tolist() == array.tolist()


@pytest.mark.parametrize("array", [np.array(["a"]), np.array(["2020-01-01"], "datetime64[D]")])
def test_an_array_of_no_numbers_is_named_by_its_dtype(array: Any) -> None:
    with pytest.raises(InputError, match=r"an array of dtype .*; expected numbers or booleans"):
        flatten_example(Takes(), (array,))
