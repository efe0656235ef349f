"""Rows that a mask leaves out are computed and not kept, where rows are independent."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Dim, Feature, Output, Signature
from pocketrec.convert.capture.capture import Capture, capture
from pocketrec.convert.capture.export import has_free_sizes
from pocketrec.convert.rewrite.row_masks import AnyRowRule, RowMaskRule
from pocketrec.errors import Refused

WIDTH = 4


class Histories(nn.Module):
    """The mean of each history's rows; empty histories are left out."""

    def __init__(self, *, across_rows: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(30, 3)
        self.across_rows = across_rows

    def forward(self, ids: Tensor) -> Tensor:
        lengths = (ids > 0).sum(1)
        filled = lengths > 0
        result = torch.zeros(ids.shape[0], 3)
        if filled.any():
            rows = self.table(ids[filled]).sum(1) / lengths[filled].unsqueeze(1)
            result[filled] = rows - rows.mean(0) if self.across_rows else rows
        return result


def captured(module: nn.Module) -> Capture:
    signature = Signature(
        inputs=(Feature(name="ids", kind="dense", shape=("batch", WIDTH)),),
        outputs=(Output(name="y", meaning="embedding", shape=("batch", 3)),),
    )
    contract = Contract(functions={"main": signature}, dims={"batch": Dim(max=8)})
    filled, empty = [[1, 2, 0, 0], [0] * 4, [5, 6, 7, 8]], [[0] * 4]
    probes = [
        {"ids": torch.tensor(rows, dtype=torch.int32)}
        for rows in (filled, [[3, 0, 0, 0]], empty, [[9, 9, 1, 2], [4, 4, 4, 4]])
    ]
    return capture(module.eval(), contract, "main", probes)


def test_empty_rows_are_chosen_away_and_so_is_the_branch() -> None:
    found = captured(Histories())
    assert {RowMaskRule.name, AnyRowRule.name} <= {each.name for each in found.rewrites}
    assert found.assumptions == ()


def test_rows_that_depend_on_each_other_keep_their_sizes() -> None:
    found = captured(Histories(across_rows=True))
    assert RowMaskRule.name not in {each.name for each in found.rewrites}
    assert has_free_sizes(found.program)


def test_only_one_mask_along_the_first_axis_is_taken() -> None:
    rule, x = RowMaskRule(), torch.ones(2, 3)
    later = (x, (slice(None), torch.ones(3, dtype=torch.bool)))
    assert rule.replace(Tensor.__getitem__, later, {}) is NotImplemented
    assert rule.replace(torch.masked_select, (x, x > 0), {}) is NotImplemented
    assert rule.replace(Tensor.__getitem__, (x, 0), {}) is NotImplemented
    assert rule.replace(Tensor.__getitem__, (x, torch.tensor([True, False])), {}).shape == (2, 3)


def test_a_mask_of_two_axes_gives_one_place_of_each_row() -> None:
    states = torch.randn(3, 4, 2)
    mask = torch.nn.functional.one_hot(torch.tensor([2, 0, 3]), 4).bool()
    assert torch.equal(RowMaskRule().replace(Tensor.__getitem__, (states, mask), {}), states[mask])


def test_whole_rows_are_selected_in_their_order() -> None:
    rows, mask = torch.randn(3, 2), torch.ones(3, 1, dtype=torch.bool)
    assert torch.equal(RowMaskRule().replace(torch.masked_select, (rows, mask), {}), rows.masked_select(mask))


def test_only_the_truth_of_a_whole_any_is_taken_for_granted() -> None:
    rule = AnyRowRule()
    none = rule.replace(Tensor.any, (torch.zeros(3, dtype=torch.bool),), {})
    assert rule.replace(Tensor.__bool__, (none,), {}) is True
    assert rule.replace(Tensor.__bool__, (torch.tensor(False),), {}) is NotImplemented


def test_a_size_that_the_capture_took_for_granted_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    for message, expected in (
        ("Runtime assertion failed for expression u2 >= 2", Refused),
        ("x", RuntimeError),
    ):

        def fails(*_: object, message: str = message) -> None:
            raise RuntimeError(message)

        monkeypatch.setattr("pocketrec.convert.capture.capture.prove_ops", fails)
        with pytest.raises(expected, match=message):
            captured(nn.Sequential(Histories()))
