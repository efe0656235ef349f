"""A proof fails where an artifact differs far from the example, and says where nothing can be told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

import pocketrec
from pocketrec.convert.onnx import lower
from pocketrec.errors import Refused

PRICES = torch.rand(4, 3, generator=torch.Generator().manual_seed(1)) + 0.5


class Priced(nn.Module):
    """Prices and the items' own vectors, of which the padding is not zero once it is trained."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.item = nn.Embedding(20, 3, padding_idx=0)

    def forward(self, items: Tensor, price: Tensor) -> Tensor:
        x = self.item(items) * (items != 0)[..., None]
        given: Tensor = (x.sum(1) + 1) * price
        return given


ITEMS = torch.tensor([[1, 2], [3, 4], [5, 6], [7, 19]])


def test_the_probes_far_from_the_example_are_counted(tmp_path: Path) -> None:
    done = pocketrec.convert_module(Priced().eval(), (ITEMS, PRICES), tmp_path)
    for target in ("onnx", "coreml"):
        assert done.far[target] == {"compared": 8, "left_out": {}}
    assert done.notes == ()


@pytest.mark.parametrize(("op", "why"), [("Abs", "'the other sign'"), ("Min", "'a hundred times'")])
def test_an_artifact_that_is_right_near_the_example_only_is_refused(
    op: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sabotaged(graph: onnx.GraphProto) -> None:
        """Near the example a price is its own magnitude, and below fifty."""
        for node in graph.node:
            for place, name in enumerate(node.input):
                if name == "price":
                    node.input[place] = "wrong"
        wrong = [onnx.helper.make_node("Abs", ["price"], ["wrong"])]
        if op == "Min":
            graph.initializer.append(onnx.numpy_helper.from_array(np.float32(50), "most"))
            wrong = [onnx.helper.make_node("Min", ["price", "most"], ["wrong"])]
        nodes = [*wrong, *graph.node]
        del graph.node[:]
        graph.node.extend(nodes)

    monkeypatch.setattr(lower, "drop_unread", sabotaged)
    with pytest.raises(Refused, match=f"differs from the module: far from the example, .*probe {why}"):
        pocketrec.convert_module(Priced().eval(), (ITEMS, PRICES), tmp_path, targets=("onnx",))


def test_where_nothing_far_can_be_compared_it_is_said(tmp_path: Path) -> None:
    class Picky(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if not ((x > 0.5) & (x < 1.5)).all():
                raise ValueError("out of range")
            return x * 2

    done = pocketrec.convert_module(Picky().eval(), PRICES.clamp(0.6, 1.4), tmp_path, targets=("onnx",))
    assert done.far["onnx"]["compared"] == 0
    assert any(
        "onnx: compared near the example only (zeros: the module raises" in each for each in done.notes
    )
