"""No integer of a Core ML program silently needs more than 32 bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pocketrec
from pocketrec.contract import Contract, Feature, Output, Signature
from pocketrec.convert.coreml import int32
from pocketrec.convert.coreml.int32 import NarrowModule, check_int32, multiply_modulo
from pocketrec.errors import Refused

PRIME = 2_654_435_761
IDS = torch.tensor([[1, 7, 99_999, 2**31 - 1], [-5, 0, 123_456_789, -(2**31)]], dtype=torch.int32)

Hash = Callable[[Tensor], Tensor]


class Hashed(nn.Module):
    def __init__(self, function: Hash) -> None:
        super().__init__()
        self.function = function

    def forward(self, ids: Tensor) -> Any:
        return self.function(ids.long()).int()


def contract(maximum: float = 2**31 - 1) -> Contract:
    feature = Feature(name="ids", kind="dense", shape=(2, 4), minimum=0, maximum=maximum)
    output = Output(name="out", meaning="top_k_ids", dtype="int32", shape=(2, 4))
    return Contract(functions={"main": Signature(inputs=(feature,), outputs=(output,))})


def program(function: Hash) -> Any:
    return torch.export.export(Hashed(function), (IDS,), strict=False).run_decompositions()


def narrow(function: Hash) -> NarrowModule:
    given = contract()
    return NarrowModule(program(function), given, given.functions["main"])


@pytest.mark.parametrize("modulus", [20, 1000, 2**15, 65_536, 1_000_003, 10**9 + 7, 2**30])
def test_a_product_modulo_needs_no_more_than_32_bits(modulus: int) -> None:
    generator = torch.Generator().manual_seed(modulus)
    x, y = torch.randint(0, modulus, (2, 500), generator=generator)
    x[:2], y[:2] = modulus - 1, modulus - 1
    # int32 wraps here as it does on the device.
    narrow = multiply_modulo(x.int(), y.int(), modulus)
    assert narrow.dtype == torch.int32
    assert narrow.tolist() == [a * b % modulus for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    assert multiply_modulo(x.int(), int(y[5]), modulus).tolist() == (x * y[5] % modulus).tolist()


@pytest.mark.parametrize(
    "function",
    [
        lambda ids: (ids * PRIME) % 1009,
        lambda ids: ((ids * 1_000_003 + 12_345) % (10**9 + 7)) % 97,
        lambda ids: (ids * 73_856_093 ^ ids * 19_349_663) % 4096,
        lambda ids: (-(ids * PRIME - 9)).unsqueeze(0).view(2, 4) & 1023,
    ],
)
def test_a_hash_is_equal_with_every_integer_within_32_bits(function: Hash) -> None:
    module = narrow(function)
    assert module.count
    assert torch.equal(module(IDS), function(IDS.long()).int())
    reduced = torch.export.export(module, (IDS,), strict=False).run_decompositions()
    given = contract()
    check_int32(reduced, given, given.functions["main"], "main")


def test_what_stays_small_is_left_as_it_is() -> None:
    assert not narrow(lambda ids: (ids % 100 * 31 + 7) % 20).count


@pytest.mark.parametrize("function", [lambda ids: (ids * PRIME) >> 16, lambda ids: (ids * ids * ids) % 1000])
def test_what_cannot_be_reduced_is_refused_with_its_line(function: Hash) -> None:
    given = contract()
    module = narrow(function)
    assert not module.count
    with pytest.raises(Refused, match=r"test_int32.py:\d+: function main: integers from .* do not fit"):
        check_int32(program(function), given, given.functions["main"], "main")


def test_the_contracts_range_decides_where_nothing_can_be_reduced() -> None:
    given = contract(maximum=1000)
    check_int32(program(lambda ids: (ids * ids) >> 3), given, given.functions["main"], "main")


def bits(shift: int) -> Hash:
    def function(ids: Tensor) -> Tensor:
        places = torch.arange(8) + shift
        return torch.bitwise_left_shift((ids > 5).long().unsqueeze(-1), places).sum(-1)

    return function


def test_bits_that_are_shifted_by_known_places_fit_or_not() -> None:
    given = contract()
    check_int32(program(bits(0)), given, given.functions["main"], "main")
    with pytest.raises(Refused, match="integers from 0 to 4294967296 do not fit"):
        check_int32(program(bits(25)), given, given.functions["main"], "main")


def test_a_wrong_product_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int32, "multiply_modulo", lambda x, y, modulus: x * y % modulus)
    with pytest.raises(Refused, match=r"differs from the module|do not fit"):
        pocketrec.convert_module(
            Hashed(lambda ids: (ids * PRIME) % 1_000_003).eval(), IDS, tmp_path / "out", ["coreml"]
        )


def test_both_targets_hash_ids_into_the_same_rows(tmp_path: Path) -> None:
    class Embedded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.quotients, self.remainders = nn.Embedding(1000, 4), nn.Embedding(50, 4)

        def forward(self, ids: Tensor) -> Any:
            hashed = (ids.long() * PRIME + 11) % 50_000
            return self.quotients(hashed // 50) * self.remainders(hashed % 50)

    result = pocketrec.convert_module(Embedded().eval(), IDS.abs() // 2, tmp_path / "out")
    assert result.refused == {}
