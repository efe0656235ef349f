"""Free sizes that coremltools names differently are taken for equal; known ones that differ are not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from coremltools.converters.mil.mil import get_new_symbol
from coremltools.converters.mil.mil.ops.defs.iOS15.scatter_gather import scatter_along_axis
from torch import Tensor, nn

import pocketrec
from pocketrec.convert.coreml.patches import right_inference


class Unseen(nn.Module):
    """The best items of the catalogue after the last one of a history, without those of the history."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.items = nn.Embedding(40, 8)

    def forward(self, history: Tensor) -> tuple[Tensor, Tensor]:
        steps = self.items(history)
        last = steps[torch.arange(len(history)), (history != 0).sum(1).clamp(min=1) - 1]
        scores = (last @ self.items.weight.T).scatter(1, history, float("-inf"))
        values, places = torch.topk(scores, 5)
        return values, places


def test_seen_items_are_left_out_for_any_batch_on_both_targets(tmp_path: Path) -> None:
    module = Unseen().eval()
    history = torch.tensor([[3, 4, 0, 0], [5, 6, 7, 8], [9, 0, 0, 0]])
    found = pocketrec.convert_module(module, history, tmp_path)
    assert found.notes == ()
    for path in found.artifacts.values():
        for rows in (history[:1], history[[2, 1, 0, 1, 2]]):
            given = pocketrec.open(path).run({found.inputs[0]: rows.numpy().astype(np.int32)})
            with torch.no_grad():
                assert np.array_equal(given[found.outputs[1]], module(rows)[1])


def scattered(data: tuple[Any, ...], indices: tuple[Any, ...]) -> Any:
    tensors = [SimpleNamespace(shape=shape, rank=2, sym_type="data") for shape in (data, indices)]
    op = SimpleNamespace(data=tensors[0], indices=tensors[1], axis=SimpleNamespace(val=-1))
    inferred: Any = scatter_along_axis.type_inference
    return inferred(op)


def test_only_known_sizes_have_to_be_the_same() -> None:
    with right_inference():
        assert scattered((get_new_symbol(), 9), (get_new_symbol(), 2)) == "data"
        assert scattered((3, 9), (get_new_symbol(), 2)) == "data"
        assert scattered((3, 9), (3, 2)) == "data"
        with pytest.raises(ValueError, match="size 4 of the indices at axis 0, expected 3"):
            scattered((3, 9), (4, 2))


def test_coremltools_is_as_before_afterwards() -> None:
    before = scatter_along_axis.type_inference
    with right_inference():
        assert scatter_along_axis.type_inference is not before
    assert scatter_along_axis.type_inference is before
