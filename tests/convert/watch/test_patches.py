"""What a decomposition is spared changes neither the operators that it knows nor what it gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._export import utils

from pocketrec.convert.watch.patches import quick_decompositions


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.silu(self.mix(x)).softmax(-1).std(0)


def decomposed() -> str:
    program = torch.export.export(Mixed().eval(), (torch.ones(3, 4),), strict=False)
    return str(program.run_decompositions().graph)


def test_the_program_is_the_same() -> None:
    plain = decomposed()
    with quick_decompositions():
        assert decomposed() == plain
    assert "silu" not in plain


def test_the_operators_are_the_same_and_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    every = utils._collect_all_valid_cia_ops()
    asked: list[None] = []
    own = utils._materialize_cpp_cia_ops
    monkeypatch.setattr(utils, "_materialize_cpp_cia_ops", lambda: asked.append(own()))
    with quick_decompositions():
        assert utils._collect_all_valid_cia_ops() == every
    assert len(asked) == 1
    utils._collect_all_valid_cia_ops()
    assert len(asked) > 2, "afterwards they are asked for as before"


def test_an_operator_that_came_since_the_last_time_is_seen() -> None:
    with quick_decompositions():
        before = utils._collect_all_valid_cia_ops()
    make: Any = torch.library.Library
    library = make("pocketrec_late", "DEF")
    library.define("twice(Tensor x) -> Tensor")
    library.impl("twice", lambda x: x + x, "CompositeImplicitAutograd")
    with quick_decompositions():
        late = utils._collect_all_valid_cia_ops() - before
    assert [str(each) for each in late] == ["pocketrec_late.twice.default"]
    library._destroy()


def test_what_stands_in_for_annotations_still_tells_what_can_be_called() -> None:
    operators: Any = torch._ops
    own = operators.Callable
    with quick_decompositions():
        assert operators.Callable is not own
        assert operators.Callable[[int], str] is operators.Callable
        assert isinstance(len, operators.Callable)
        assert not isinstance(3, operators.Callable)
    assert operators.Callable is own
