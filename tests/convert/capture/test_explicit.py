"""A captured graph says itself which axes a squeeze removes and what fresh memory holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pocketrec.convert.capture.explicit import (
    drop_parameter_writes,
    fill_empty,
    keep_expanded_axes,
    reshape_for_views,
    squeeze_known_axes,
)


class Calls(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def exported(function: Callable[[Tensor], Tensor]) -> torch.export.ExportedProgram:
    batch = {0: torch.export.Dim("batch", min=1, max=8)}
    return torch.export.export(Calls(function), (torch.ones(3, 1, 4),), dynamic_shapes=(batch,))


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x: x.squeeze(), (1, 4)),
        (lambda x: x.sum(2).squeeze(), (1,)),
        (lambda x: x.sum((1, 2)).squeeze(), (1,)),
        (lambda x: x.squeeze(0), (1, 1, 4)),
        (lambda x: x.squeeze(1), (1, 4)),
    ],
)
def test_a_batch_of_one_keeps_its_axis(function: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> None:
    program = exported(function)
    squeeze_known_axes(program)
    assert program.module(check_guards=False)(torch.ones(1, 1, 4)).shape == shape
    assert torch.equal(program.module()(torch.ones(3, 1, 4)), function(torch.ones(3, 1, 4)))


def test_without_it_the_axis_is_lost() -> None:
    program = exported(lambda x: x.sum((1, 2)).squeeze())
    assert program.module(check_guards=False)(torch.ones(1, 1, 4)).shape == ()


def test_fresh_memory_is_zeros_of_its_own_dtype() -> None:
    program = exported(
        lambda x: torch.empty_like(x, dtype=torch.int64) * 0 + torch.empty(4, dtype=torch.int64)
    )
    fill_empty(program)
    assert not any("empty" in str(node.target) for node in program.graph.nodes)
    given = program.module()(torch.ones(3, 1, 4))
    assert given.dtype == torch.int64
    assert not given.any()


def test_a_view_becomes_a_reshape_that_every_layout_allows() -> None:
    module = exported(lambda x: x.view(-1, 2)).module(check_guards=False)
    assert isinstance(module, torch.fx.GraphModule)
    turned = torch.ones(4, 1, 3).permute(2, 1, 0)
    with pytest.raises(RuntimeError, match="view"):
        module(turned)
    reshape_for_views(module)
    assert module(turned).shape == (6, 2)


class Normalizing(nn.Module):
    """Writes its table's unit rows over the table in every call."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.tensor([[3.0, 4.0], [0.0, 2.0]]))

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.table.copy_(nn.functional.normalize(self.table))
        return x @ self.table


def test_only_what_the_code_returns_is_an_output() -> None:
    program = torch.export.export(Normalizing(), (torch.ones(3, 2),)).run_decompositions({})
    assert len(program.graph_signature.output_specs) == 2
    drop_parameter_writes(program)
    assert len(program.graph_signature.output_specs) == 1
    given = program.module(check_guards=False)(torch.ones(3, 2))
    torch.testing.assert_close(given, torch.tensor([[0.6, 1.8]]).expand(3, -1))


def test_an_expand_names_only_the_sizes_that_it_repeats() -> None:
    def repeated(x: Tensor) -> Tensor:
        row = torch.ones(4).expand(x.shape[0], 5, 4)
        return x.expand(x.shape[0], 1, 4) + x.expand(-1, 5, 4) + row

    program = exported(repeated)
    keep_expanded_axes(program)
    nodes = program.graph.find_nodes(op="call_function", target=torch.ops.aten.expand.default)
    sizes = [[each if isinstance(each, int) else each.name for each in node.args[1]] for node in nodes]
    assert sorted(map(str, sizes)) == ["['sym_size_int_1', 5, -1]", "[-1, 5, -1]"]
    x = torch.randn(2, 1, 4)
    assert torch.equal(program.module()(x), repeated(x))
