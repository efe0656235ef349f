"""TorchScript inside of a module, and given by name, is seen as a graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import pocketrec
from pocketrec.convert.example.flatten import flatten_example
from pocketrec.convert.example.scripted import with_graphs

jit: Any = torch.jit


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.layer(x).reshape(x.shape[0], -1)
        return torch.relu(rows) * 2


class Parts(nn.Module):
    """A scripted part in two places, a traced one, and one that is never called."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.item = nn.Embedding(30, 8)
        self.head = jit.script(Head())
        self.same = self.head
        self.traced = jit.trace(nn.Sequential(nn.Linear(8, 4), nn.Tanh()), torch.rand(3, 8))
        self.unused = jit.script(Head())

    def forward(self, ids: Tensor) -> Tensor:
        x = self.item(ids).mean(1)
        result: Tensor = self.head(x) + self.same(x.flip(1)) * self.traced(x)
        return result


def test_both_targets_have_the_parts_for_any_batch(far: Callable[..., Any]) -> None:
    far(Parts(), (torch.randint(0, 30, (4, 6)),), (torch.randint(0, 30, (7, 6)),))


def test_the_users_module_keeps_its_parts() -> None:
    module, ids = Parts().eval(), torch.randint(0, 30, (4, 6))
    with torch.no_grad():
        copy = with_graphs(module, lambda each: each(ids))
        torch.testing.assert_close(copy(ids), module(ids))
    assert isinstance(module.head, torch.jit.ScriptModule)
    assert not isinstance(copy.head, torch.jit.ScriptModule)
    assert copy.head is copy.same
    plain = nn.Linear(2, 2)
    assert with_graphs(plain, lambda each: None) is plain


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.item = nn.Embedding(30, 4)

    def forward(self, ids: Tensor, weights: Tensor) -> Tensor:
        result: Tensor = (self.item(ids) * weights.unsqueeze(2)).sum(1)
        return result


def test_names_of_a_script_or_a_frozen_one_are_put_in_order_and_arrays_are_tensors(tmp_path: Path) -> None:
    torch.manual_seed(0)
    frozen = jit.freeze(jit.script(Pair().eval()))
    example = {"weights": np.ones((4, 3), np.float32), "ids": np.ones((4, 3), np.int64)}
    assert flatten_example(frozen, example).names == ("ids", "weights")
    done = pocketrec.convert_module(frozen, example, tmp_path / "out", ("onnx",))
    ids, weights = torch.randint(0, 30, (7, 3)), torch.randn(7, 3)
    with pocketrec.open(done.artifacts["onnx"]) as artifact:
        given = artifact.run({"ids": ids.numpy().astype(np.int32), "weights": weights.numpy()})
    torch.testing.assert_close(torch.from_numpy(given[done.outputs[0]]), frozen(ids, weights))
