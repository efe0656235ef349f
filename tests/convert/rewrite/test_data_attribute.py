"""An input's `.data` is the input itself, not a constant of the example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pocketrec.convert.rewrite.data_attribute import DataRule
from pocketrec.errors import Refused


class Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(9, 4)

    def forward(self, ids: Tensor) -> Tensor:
        mask = ids.data.eq(0)
        pooled: Tensor = self.table(ids).masked_fill(mask.unsqueeze(-1), 0.0).sum(1)
        return pooled


IDS = torch.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]])


def test_both_targets_follow_the_input_through_its_data(converted: Callable[..., Any]) -> None:
    found = converted(Masked(), IDS)
    assert "data_to_detach" in {each.name for each in found.rewrites}


def test_other_attributes_are_left_alone() -> None:
    rule, shape, transposed = DataRule(), Tensor.shape, Tensor.T
    assert rule.replace(shape.__get__, (IDS,), {}) is NotImplemented  # type: ignore[attr-defined]
    assert rule.replace(transposed.__get__, (IDS,), {}) is NotImplemented  # type: ignore[attr-defined]


def test_the_proof_catches_data_that_is_something_else(
    converted: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(self: DataRule, function: Any, args: Any, kwargs: Any) -> Any:
        found = replace(self, function, args, kwargs)
        return found if found is NotImplemented else found.flip(1)

    replace = DataRule.replace
    monkeypatch.setattr(DataRule, "replace", other)
    with pytest.raises(Refused, match="data_to_detach: the rewrite is off by"):
        converted(Masked(), IDS)
