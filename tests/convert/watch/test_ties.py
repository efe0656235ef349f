"""A choice among equal scores is found with its line, and is the reason that a refusal gives."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import pocketrec
from pocketrec.convert.watch.ties import ties_of
from pocketrec.errors import Refused


class Recent(nn.Module):
    """The best places of a row; padding scores the same everywhere."""

    def __init__(self, *, width: int = 3) -> None:
        super().__init__()
        self.width = width

    def forward(self, scores: Tensor) -> Tensor:
        return torch.topk(scores, self.width, dim=1).indices.float() ** 2


def test_equal_scores_are_named_with_the_line_of_the_choice() -> None:
    found = ties_of(Recent(), [torch.tensor([[1.0, 2.0, 2.0, 0.0]])])
    assert found.startswith("topk at ")
    assert "test_ties.py:" in found


def test_distinct_scores_are_no_tie() -> None:
    assert ties_of(Recent(), [torch.tensor([[1.0, 2.0, 3.0, 0.0]])]) == ""


def test_a_choice_among_many_equal_scores_is_refused_for_this_reason(tmp_path: Path) -> None:
    scores = torch.zeros(4, 40)
    scores[:, 7] = torch.arange(4.0)
    with pytest.raises(Refused, match=r"topk at .*test_ties\.py:\d+: .*chooses among equal scores"):
        pocketrec.convert_module(Recent(width=20).eval(), (scores,), tmp_path / "out")
