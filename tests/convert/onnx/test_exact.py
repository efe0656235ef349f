"""A small number that keeps a division from zero stays in the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

import pocketrec
from pocketrec.convert.onnx.exact import exact_constants, same_number


class Mean(nn.Module):
    """The mean of what a history holds, and nothing for an empty one."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(30, 4, padding_idx=0)

    def forward(self, history: Tensor) -> Tensor:
        count = (history != 0).sum(1, keepdim=True).float()
        pooled: Tensor = self.table(history).sum(1) / (count + 1e-9)
        return pooled


HISTORY = torch.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]])


def test_an_empty_history_does_not_divide_by_zero(tmp_path: Path) -> None:
    found = pocketrec.convert_module(Mean().eval(), (HISTORY,), tmp_path / "out", targets=("onnx",))
    with pocketrec.open(found.artifacts["onnx"]) as opened:
        answer = opened.run({found.inputs[0]: np.zeros((3, 3), np.int32)})[found.outputs[0]]
    np.testing.assert_array_equal(answer, np.zeros((3, 4), np.float32))


def additions(model: nn.Module) -> int:
    exported = torch.onnx.export(model, (torch.ones(2),), dynamo=True, optimize=True, verbose=False)
    assert exported is not None
    return sum(node.op_type == "Add" for node in exported.model_proto.graph.node)


class Nearly(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sqrt(x + 1e-9)


def test_without_it_the_exporter_drops_the_addition() -> None:
    assert onnx.__version__
    assert additions(Nearly()) == 0
    with exact_constants():
        assert additions(Nearly()) == 1
    assert additions(Nearly()) == 0


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [(0.0, 0.0, True), (1e-30, 0.0, False), (float(np.float32(0.1)), 0.1, True), (1.00001, 1.0, False)],
)
def test_only_the_same_number_matches(one: float, two: float, same: bool) -> None:
    assert same_number(one, two, rel_tol=1e-5, abs_tol=1e-8) is same
