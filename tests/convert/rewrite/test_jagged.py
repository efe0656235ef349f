"""Values of several keys are split into parts as long as the whole, where offsets say what counts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pocketrec
from pocketrec.errors import Refused

VALUES = torch.tensor([3, 4, 5, 1, 2, 9, 8, 7])
LENGTHS = torch.tensor([[2, 0], [1, 2], [0, 3]])


class Keyed(nn.Module):
    """The bags of each key, from all values in one row and a length per key and bag."""

    def __init__(self, *, of_all: bool = False) -> None:
        super().__init__()
        self.tables = nn.ParameterList(torch.randn(10 * (key + 1), 4) for key in range(3))
        self.of_all = of_all

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        parts = torch.split(values, lengths.sum(1).tolist())
        pooled = [
            self.pooled(part, key.cumsum(0) - key, table)
            for part, key, table in zip(parts, lengths.unbind(0), self.tables, strict=True)
        ]
        return torch.cat(pooled, dim=1)

    def pooled(self, part: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
        ends = torch.cat([offsets, offsets.new_full((1,), part.shape[0])])
        bags = F.embedding_bag(part, weight, ends, mode="sum", include_last_offset=True)
        return bags / part.shape[0] if self.of_all else bags


class Lengths(Keyed):
    """The same, with the last bag ended by its length."""

    def pooled(self, part: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
        return F.embedding_bag(part, weight, offsets, mode="sum", include_last_offset=True)

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        parts = torch.split(values, lengths.sum(1).tolist())
        ends = [F.pad(key.cumsum(0), (1, 0)) for key in lengths.unbind(0)]
        pooled = [
            self.pooled(part, end, table) for part, end, table in zip(parts, ends, self.tables, strict=True)
        ]
        return torch.cat(pooled, dim=1)


def test_both_targets_pool_every_key_whatever_its_count(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Lengths().eval()
    found = pocketrec.convert_module(module, (VALUES, LENGTHS), tmp_path / "out")
    assert found.refused == {}
    assert "jagged_split_to_padded" in {each.name for each in found.rewrites}
    other = torch.tensor([[0, 0], [5, 1], [1, 1]])
    for path in found.artifacts.values():
        with pocketrec.open(path) as opened:
            inputs = dict(zip(found.inputs, (VALUES.int().numpy(), other.int().numpy()), strict=True))
            actual = torch.from_numpy(opened.run(inputs)[found.outputs[0]])
        torch.testing.assert_close(actual, module(VALUES, other), rtol=1e-5, atol=1e-5)


def test_a_part_whose_length_counts_is_not_padded(tmp_path: Path) -> None:
    """The sums are divided by the part's length, which padding would change."""
    torch.manual_seed(0)
    with pytest.raises(Refused) as refused:
        pocketrec.convert_module(
            Keyed(of_all=True).eval(), (VALUES, LENGTHS), tmp_path / "out", targets=("coreml",)
        )
    assert "jagged_split" not in str(refused.value)


def test_a_split_by_known_counts_is_left_as_it_is(tmp_path: Path) -> None:
    class Known(nn.Module):
        def forward(self, values: Tensor) -> Tensor:
            first, second = torch.split(values, torch.tensor([3, 5]).tolist())
            return torch.cat([second, first * 2])

    found = pocketrec.convert_module(Known().eval(), (VALUES.float(),), tmp_path / "out")
    assert found.refused == {}
    assert "jagged_split_to_padded" not in {each.name for each in found.rewrites}
