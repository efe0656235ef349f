"""Functions run as they are, with the rewrites, and as artifacts of both targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pocketrec
from pocketrec.convert.rewrite import OP_RULES
from pocketrec.convert.rewrite.ops import OpRule, lower_ops, prove_ops
from pocketrec.pipeline.convert import Conversion

Applied = Callable[..., set[str]]
Converted = Callable[..., Conversion]


class Calls(nn.Module):
    """A module around a function of tensors."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)


@pytest.fixture
def applied() -> Applied:
    """Exports a function, proves the rules on it, and gives the names of those that applied."""

    def run(function: Callable[..., Any], *inputs: Tensor, rules: Sequence[OpRule] = OP_RULES) -> set[str]:
        program = torch.export.export(Calls(function).eval(), inputs, strict=False)
        proved = prove_ops(program, rules, [inputs])
        actual = lower_ops(program, rules).module()(*inputs)
        torch.testing.assert_close(actual, function(*inputs), rtol=1e-5, atol=1e-5, equal_nan=True)
        return {each.rule.name for each in proved}

    return run


@pytest.fixture
def converted(tmp_path: Path) -> Converted:
    """Converts a module to both targets, which convert_module proves equal, or fails."""

    def run(module: nn.Module, *inputs: Tensor) -> Conversion:
        result = pocketrec.convert_module(module.eval(), inputs, tmp_path / "out")
        assert result.refused == {}
        assert set(result.artifacts) == {"coreml", "onnx"}
        return result

    return run
