"""A capture is lowered as it is where the exporter would have nothing to decompose."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pocketrec.convert.onnx.ready import ready

aten = torch.ops.aten
X = torch.arange(6.0).reshape(1, 3, 1, 2)


class Squeezed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.squeeze((-2, 0)) * 2


@pytest.fixture(scope="module")
def program() -> torch.export.ExportedProgram:
    found: torch.export.ExportedProgram = torch.export.export(Squeezed(), (X,)).run_decompositions()
    return found


def ops(program: torch.export.ExportedProgram) -> list[object]:
    return [node.target for node in program.graph.nodes if node.op == "call_function"]


def test_several_axes_are_squeezed_one_by_one_with_the_same_numbers(
    program: torch.export.ExportedProgram,
) -> None:
    taken = ready(program, {aten.squeeze.dims})
    assert taken is not None
    assert ops(taken) == [aten.squeeze.dim, aten.squeeze.dim, aten.mul.Tensor]
    shapes = [tuple(node.meta["val"].shape) for node in taken.graph.nodes if node.op == "call_function"]
    assert shapes == [(1, 3, 2), (3, 2), (3, 2)]
    torch.testing.assert_close(taken.graph_module(X)[0], X[0, :, 0] * 2)


def test_a_squeeze_that_is_an_output_keeps_the_name_that_the_program_has_for_it() -> None:
    class Last(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x * 2).squeeze((-2, 0))

    program = torch.export.export(Last(), (X,)).run_decompositions()
    taken = ready(program, {aten.squeeze.dims})
    assert taken is not None
    results: Any = taken.graph.output_node().args[0]
    assert [each.name for each in results] == list(program.graph_signature.user_outputs)


def test_the_capture_keeps_its_own_graph(program: torch.export.ExportedProgram) -> None:
    before = ops(program)
    taken = ready(program, {aten.squeeze.dims})
    assert taken is not None
    assert taken.graph_module is not program.graph_module
    assert ops(program) == before


def test_what_must_be_decomposed_is_not_ready(program: torch.export.ExportedProgram) -> None:
    assert ready(program, {aten.mul.Tensor}) is None


def test_what_a_loop_must_have_decomposed_is_seen_within_the_loop() -> None:
    class Stepped(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            def step(total: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
                return total.tanh() + row, row.clone()

            found: Tensor = torch._higher_order_ops.scan(step, x[0], x)[0]
            return found

    program = torch.export.export(Stepped(), (torch.ones(3, 2),)).run_decompositions()
    assert aten.tanh.default not in ops(program)
    assert ready(program, {aten.tanh.default}) is None
    assert ready(program, {aten.sinh.default}) is not None
