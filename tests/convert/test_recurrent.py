"""A recurrent layer is one op on the targets, however long its rows are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor, nn

import pocketrec

STEPS = 40


class Encoder(nn.Module):
    def __init__(self, kind: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(30, 4)
        self.layer = kind(4, 5, batch_first=True)

    def forward(self, ids: Tensor) -> Tensor:
        steps: Tensor = self.layer(self.table(ids))[0]
        return steps[:, -1]


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_a_layer_stays_whole_and_equal_on_both_targets(kind: Any, tmp_path: Path) -> None:
    ids = torch.randint(0, 30, (3, STEPS), generator=torch.Generator().manual_seed(1))
    done = pocketrec.convert_module(Encoder(kind).eval(), (ids,), tmp_path)
    assert done.refused == {}
    assert done.notes == ()
    ops = [node.op_type for node in onnx.load(done.artifacts["onnx"]).graph.node]
    assert ops.count(kind.__name__) == 1
    assert len(ops) < STEPS
    with pocketrec.open(done.artifacts["coreml"]) as package:
        trace: Any = package
        names = trace.trace({"ids": ids.numpy().astype("int32")})
    assert len(names) < 8 * STEPS


class Stacked(nn.Module):
    """A layer after a layer, which goes on from where the first one ended."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = kind(4, 4, batch_first=True), kind(4, 4, batch_first=True)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        steps, state = self.first(x)
        again, last = self.second(steps, state)
        return again[:, -1], *(last if isinstance(last, tuple) else (last,))


@pytest.mark.long
@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_two_layers_do_not_take_each_others_states(kind: Any, tmp_path: Path) -> None:
    x = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(1))
    done = pocketrec.convert_module(Stacked(kind).eval(), (x,), tmp_path)
    assert done.refused == {}
    assert done.notes == ()
