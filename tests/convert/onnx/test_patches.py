"""A small number that keeps a division from zero stays in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.onnx._internal.exporter._registration import ONNXRegistry

import pocketrec
from pocketrec.convert.onnx.patches import (
    exact_constants,
    promoted_once,
    registry_kept,
    same_number,
    traced_once,
)


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


def test_every_export_has_a_table_of_its_own_with_the_same_lowerings() -> None:
    before = vars(ONNXRegistry)["from_torchlib"]
    with registry_kept():
        first, second = (ONNXRegistry.from_torchlib(opset_version=18) for _ in range(2))
    assert vars(ONNXRegistry)["from_torchlib"] is before, "the exporter is as it was"
    op = torch.ops.aten.tanh.default
    assert first.get_decomps(op) == second.get_decomps(op) != []
    first.register_op(op, lambda x: x)
    assert len(first.get_decomps(op)) == len(second.get_decomps(op)) + 1


def test_another_opset_has_another_table() -> None:
    with registry_kept():
        tables = [ONNXRegistry.from_torchlib(opset_version=each) for each in (18, 23)]
    assert [each.opset_version for each in tables] == [18, 23]
    attention = torch.ops.aten.scaled_dot_product_attention.default
    assert tables[0].get_decomps(attention) != tables[1].get_decomps(attention)


class Mixed(nn.Module):
    """Integers and real numbers in one sum, and a mean that is counted in another dtype."""

    def forward(self, ids: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        return ids / 4 + x.half() * 2, (ids + x) * (ids > 1)


MIXED = (torch.tensor([1, 2, 3]), torch.tensor([0.5, -1.0, 2.0]))


def exported(program: torch.export.ExportedProgram) -> onnx.ModelProto:
    found = torch.onnx.export(program, (), dynamo=True, optimize=False, verbose=False)
    assert found is not None
    return found.model_proto


def test_promotions_from_what_is_noted_are_those_from_another_run() -> None:
    program = torch.export.export(Mixed(), MIXED).run_decompositions()
    expected = exported(program)
    with promoted_once():
        actual = exported(program)
    assert [each.op_type for each in actual.graph.node] == [each.op_type for each in expected.graph.node]
    assert actual.graph.output == expected.graph.output
    assert "Cast" in {each.op_type for each in actual.graph.node}


def test_a_program_that_is_ready_is_not_traced_again_and_any_other_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    traced: list[int] = []
    decompose = torch.export.ExportedProgram.run_decompositions

    def counted(self: torch.export.ExportedProgram, table: Any = None) -> torch.export.ExportedProgram:
        traced.append(len(self.graph.nodes))
        result: torch.export.ExportedProgram = decompose(self, table)
        return result

    ready = torch.export.export(Mixed(), MIXED).run_decompositions()
    other = torch.export.export(nn.Softshrink(), MIXED[1:])
    monkeypatch.setattr(torch.export.ExportedProgram, "run_decompositions", counted)
    with traced_once():
        exported(ready)
        assert not traced
        exported(other)
    assert len(traced) == 1
