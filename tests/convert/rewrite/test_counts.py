"""Counts of truth values stay integers on the way to an index."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import pocketrec
from pocketrec.convert.rewrite.counts import RULES, count
from pocketrec.convert.rewrite.ops import prove_ops
from pocketrec.errors import Refused


class LastItem(nn.Module):
    """The embedding of the last item of each history."""

    def __init__(self) -> None:
        super().__init__()
        self.item = nn.Embedding(20, 3)

    def forward(self, history: Tensor) -> Tensor:
        last = (history != 0).sum(1, keepdim=True) - 1
        embedded: Tensor = self.item(history.gather(1, last))
        return embedded


def test_a_count_is_an_index_in_core_ml(tmp_path: Path) -> None:
    history = torch.tensor([[3, 4, 0, 0], [5, 6, 7, 8]])
    conversion = pocketrec.convert_module(
        LastItem().eval(), (history,), tmp_path / "out", targets=("coreml",)
    )
    assert conversion.refused == {}
    assert "count_to_integer_sum" in {each.name for each in conversion.rewrites}


def test_sums_of_numbers_are_left_alone() -> None:
    assert count(torch.ones(2, 3), [1]) is NotImplemented
    assert count(torch.ones(2, 3, dtype=torch.int64), [1]) is NotImplemented


def test_a_wrong_count_is_caught() -> None:
    program = torch.export.export(LastItem().eval(), (torch.tensor([[3, 4, 0, 0]]),))
    wrong = dataclasses.replace(RULES[0], replace=lambda x, dim, keepdim=False: count(~x, dim, keepdim))
    with pytest.raises(Refused, match="count_to_integer_sum is off by"):
        prove_ops(program, [wrong], [(torch.tensor([[3, 4, 0, 0]]),), (torch.tensor([[3, 0, 0, 0]]),)])
