"""A place in a tensor of one number is read and written as by a number."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Feature, Output, Signature
from pocketrec.convert.capture.capture import capture
from pocketrec.convert.rewrite.scalar_index import ScalarIndexRule

ROWS = torch.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize("place", [0, 3, -1, -4])
def test_reading_and_writing_agree_with_numbers(place: int) -> None:
    rule, index = ScalarIndexRule(), torch.tensor(place)
    assert torch.equal(rule.replace(Tensor.__getitem__, (ROWS, index), {}), ROWS[place])
    expected, given = ROWS.clone(), ROWS.clone()
    expected[place] = 7.0
    assert rule.replace(Tensor.__setitem__, (given, index, 7.0), {}) is None
    assert torch.equal(given, expected)


@pytest.mark.parametrize("index", [1, torch.tensor([1]), torch.tensor(True), slice(0, 2)])
def test_other_indices_are_left_alone(index: object) -> None:
    assert ScalarIndexRule().replace(Tensor.__getitem__, (ROWS, index), {}) is NotImplemented


def test_a_forward_that_marks_the_last_place_of_every_row_is_captured() -> None:
    class Masked(nn.Module):
        def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
            marked = ids.clone()
            for row, last in enumerate(lengths):
                marked[row][last] = 99
            return marked.float()

    signature = Signature(
        inputs=(
            Feature(name="ids", kind="dense", shape=(2, 3)),
            Feature(name="lengths", kind="length", shape=(2,)),
        ),
        outputs=(Output(name="y", meaning="embedding", shape=(2, 3)),),
    )
    probes = [
        {"ids": torch.tensor(ids, dtype=torch.int32), "lengths": torch.tensor(lengths, dtype=torch.int32)}
        for ids, lengths in (([[1, 2, 0], [3, 0, 0]], [2, 1]), ([[4, 0, 0], [5, 6, 0]], [1, 0]))
    ]
    found = capture(Masked(), Contract(functions={"main": signature}), "main", probes)
    assert ScalarIndexRule.name in {each.name for each in found.rewrites}
