"""What no input changes is computed once; views and second copies of a table are left alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pocketrec.convert.capture.fold import fold_constants

IDS = torch.tensor([0, 2, 1])


class Propagated(nn.Module):
    """Two rounds over a fixed graph, then a lookup."""

    adjacency: Tensor

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Parameter(torch.randn(4, 3))
        self.register_buffer("adjacency", torch.rand(4, 4))

    def forward(self, ids: Tensor) -> Tensor:
        rows = self.adjacency @ (self.adjacency @ self.table)
        return (self.table + rows)[ids]


class Tied(nn.Module):
    def __init__(self, rows: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(rows, 8))

    def forward(self, ids: Tensor) -> Tensor:
        return self.table[ids] @ self.table.t()


class Normalized(Tied):
    """The table itself is read as well, so a normalized copy would be stored beside it."""

    def forward(self, ids: Tensor) -> Tensor:
        return self.table[ids] @ nn.functional.normalize(self.table).t()


def folded(module: nn.Module) -> tuple[bool, torch.fx.GraphModule]:
    with torch.no_grad():
        graph = torch.export.export(module, (IDS,)).module(check_guards=False)
    changed = fold_constants(graph)
    with torch.no_grad():
        assert torch.allclose(graph(IDS), module(IDS), atol=1e-6)
    return changed, graph


def test_propagation_over_a_fixed_graph_ships_as_its_result() -> None:
    changed, graph = folded(Propagated())
    assert changed
    assert not any("matmul" in str(node.target) for node in graph.graph.nodes)
    assert [node.target for node in graph.graph.nodes if node.op == "get_attr"] == ["folded_0"]


def test_a_transposed_table_stays_one_table() -> None:
    assert not folded(Tied(4000))[0]


def test_a_large_second_copy_of_a_table_is_not_stored() -> None:
    assert not folded(Normalized(4000))[0]
    assert folded(Normalized(40))[0]


class Triangle(nn.Module):
    """Pairs of columns by indices that are computed in every call, and perhaps written to."""

    def __init__(self, *, written: bool) -> None:
        super().__init__()
        self.written = written

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = torch.triu_indices(3, 3, 1)
        if self.written:
            rows[0] = 2
        return x[:, rows] * x[:, columns]


def test_indices_that_no_input_changes_are_computed_once_unless_they_are_written_to() -> None:
    x = torch.rand(4, 3)
    for written in (False, True):
        module = Triangle(written=written)
        plain = torch.export.export(module, (x,), strict=False).module(check_guards=False)
        assert isinstance(plain, torch.fx.GraphModule)
        assert fold_constants(plain) is not written
        assert torch.equal(plain(x), module(x))


class Repeated(nn.Module):
    """Columns repeated by counts that are fixed, or given."""

    def __init__(self, *, given: bool = False) -> None:
        super().__init__()
        self.given = given

    def forward(self, x: Tensor) -> Tensor:
        counts = x[0].long() if self.given else torch.tensor([2, 0, 1])
        return torch.repeat_interleave(x, counts, dim=1)


def test_repeats_by_fixed_counts_become_a_lookup_of_known_size() -> None:
    x = torch.tensor([[1.0, 2.0, 1.0], [4.0, 5.0, 6.0]])
    for given in (False, True):
        module = Repeated(given=given)
        plain = torch.export.export(module, (x,), strict=False).module(check_guards=False)
        assert isinstance(plain, torch.fx.GraphModule)
        assert fold_constants(plain) is not given
        assert torch.equal(plain(x), module(x))
