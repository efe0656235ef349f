"""A module's digest follows everything that decides its numbers; there is none where that cannot be told."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pocketrec.pipeline.identity import module_sha256
from pocketrec.source.factory import load_factory


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 2))
        self.register_buffer("mask", torch.ones(2), persistent=False)
        self.table = torch.arange(3)
        self.scale: Any = 2.0
        self.known: Any = {"sizes": [1, 2], "kinds": {"a", "b"}}
        self.inner = nn.GRU(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        scaled: Tensor = x @ self.weight * self.scale
        return scaled


def made(change: Callable[[Scaled], None] = lambda module: None) -> Scaled:
    torch.manual_seed(0)
    module = Scaled()
    change(module)
    return module


def put(name: str, value: Any) -> Callable[[Scaled], None]:
    return lambda module: setattr(module, name, value)


def test_modules_that_are_made_alike_have_one_digest() -> None:
    assert module_sha256(made()) == module_sha256(made()) is not None


CHANGES: list[Callable[[Scaled], Any]] = [
    lambda module: module.weight.data.add_(1e-6),
    lambda module: module.weight.data.neg_(),
    lambda module: next(module.inner.parameters()).data.add_(1e-6),
    put("mask", torch.zeros(2)),
    put("table", torch.arange(3, dtype=torch.int32)),
    put("scale", 2),
    put("scale", partial(max, 3)),
    put("scale", partial(max, 4)),
    put("scale", torch.relu),
    put("scale", torch.nn.functional.gelu),
    put("scale", {}.get),
    put("scale", {1: 2}.get),
    put("scale", lambda x: x),
    put("scale", lambda x, y=1: x + y),
    put("scale", put("a", 1)),
    put("scale", put("a", 2)),
    put("known", {"sizes": [1, 3], "kinds": {"a", "b"}}),
    put("known", {"sizes": [1, 2], "kinds": {"a", "c"}}),
    lambda module: module.eval(),
]


def test_what_differs_has_another() -> None:
    found = [module_sha256(each) for each in (made(), *map(made, CHANGES))]
    assert None not in found
    assert len(set(found)) == len(CHANGES) + 1


def test_another_line_of_the_users_code_is_another_digest(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    text = "from torch import nn\nclass Own(nn.Module):\n    def forward(self, x):\n        return x + {}\n"
    found = []
    for limit in (1, 1, 2):
        file.write_text(text.format(limit))
        found.append(module_sha256(load_factory("own.py:Own", base=tmp_path, key="model.factory")()))
    assert found[0] is not None
    assert found[0] == found[1] != found[2]


def circle(module: Scaled) -> None:
    module.known = [module.known]
    module.known.append(module.known)


@pytest.mark.parametrize(
    "module",
    [
        torch.jit.script(nn.Linear(2, 2)),
        torch.fx.symbolic_trace(nn.Linear(2, 2)),
        nn.Linear(2, 2, device="meta"),
        made(put("scale", torch.Generator())),
        made(circle),
    ],
)
def test_what_cannot_be_told_has_none(module: nn.Module) -> None:
    assert module_sha256(module) is None
