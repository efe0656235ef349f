"""Tables in coordinates are never made to be looked up or multiplied, and answer as before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from coremltools.converters.mil.mil import Builder, Function, Placeholder, Program, Var, types
from torch import Tensor, nn

from pocketrec.convert.capture.capture import Capture
from pocketrec.convert.coreml.constexpr import Place, constexpr
from pocketrec.convert.coreml.coordinates import read_by_coordinates
from pocketrec.convert.coreml.lower import to_coreml
from pocketrec.quantize import Plan, compress
from pocketrec.quantize.schemes import Scheme
from pocketrec.quantize.schemes.hot_rows import HotRows
from pocketrec.quantize.schemes.product import Product
from pocketrec.quantize.usage import Usage
from pocketrec.validate.artifact.graph import Graph
from pocketrec.validate.coreml_program import CoreMLInterpreter
from pocketrec.validate.open import open_graph

CaptureSmall = Callable[[nn.Module], Capture]
ITEMS, WIDTH = 60, 16
IDS = torch.tensor([59, 0, 7], dtype=torch.int32)
READS = {"item.weight": Usage(popularity=np.arange(60.0))}
SCHEMES: list[Scheme] = [
    Product(bits=6, width=3, basis="principal"),
    HotRows(hot_bits=4, cold_bits=6, cold_width=4, cold_basis="principal"),
]
HALVES = HotRows(share=0.5, hot_bits=4, cold_bits=6, cold_width=4, cold_basis="principal")


class Reads(nn.Module):
    """One way to read a table."""

    def __init__(self) -> None:
        super().__init__()
        self.item = nn.Embedding(ITEMS, WIDTH, padding_idx=0)

    def forward(self, ids: Tensor) -> Tensor:
        scores: Tensor = self.item(ids) @ self.item.weight.T
        return scores


class Linear(Reads):
    def forward(self, ids: Tensor) -> Tensor:
        bias = torch.arange(ITEMS) / 10
        return nn.functional.linear(self.item(ids).tanh(), self.item.weight, bias)


class Batched(Reads):
    def forward(self, ids: Tensor) -> Tensor:
        vectors = self.item(ids)[:, None] * torch.tensor([[1.0], [0.5]])
        scores: Tensor = (vectors @ self.item.weight.T).amax(dim=1)
        return scores


class First(Reads):
    """The table is the first factor."""

    def forward(self, ids: Tensor) -> Tensor:
        scores: Tensor = self.item.weight @ self.item(ids).tanh().T
        return scores.T


class Fixed(Reads):
    """The vector is a constant, and so is what it is multiplied with."""

    def __init__(self) -> None:
        super().__init__()
        self.vector = nn.Parameter(torch.linspace(-1, 1, WIDTH)[None])

    def forward(self, ids: Tensor) -> Tensor:
        scores: Tensor = self.vector @ self.item.weight.T + self.item(ids).sum(dim=1, keepdim=True)
        return scores


class Whole(Reads):
    """Reads the table as no lookup and no score does."""

    def forward(self, ids: Tensor) -> Tensor:
        lengths = (self.item.weight * self.item(ids[:1]).tanh()).amax(dim=1)
        scores: Tensor = lengths + self.item(ids).sum(dim=1, keepdim=True)
        return scores


class Both(Reads):
    def forward(self, ids: Tensor) -> Tensor:
        lengths = (self.item.weight * self.item(ids[:1]).tanh()).amax(dim=1)
        scores: Tensor = self.item(ids).tanh() @ self.item.weight.T - lengths
        return scores


class Joined(Reads):
    """The table with rows of another behind it, looked up together; the rows are multiplied one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.more = nn.Embedding(5, WIDTH)

    def forward(self, ids: Tensor) -> Tensor:
        both = torch.cat([self.item.weight, self.more.weight])
        rows = both[(ids[:, None] + torch.arange(ITEMS)) % len(both)]
        scores: Tensor = (rows @ self.item(ids)[:, :, None])[..., 0]
        return scores


class Averaged(Reads):
    """The rows themselves, as the scores weigh them: a product that runs along the rows."""

    def forward(self, ids: Tensor) -> Tensor:
        shares = torch.softmax(self.item(ids) @ self.item.weight.T, dim=-1)
        mean: Tensor = shares @ self.item.weight
        return mean.sum(dim=1, keepdim=True).expand(3, ITEMS)


class Columns(Reads):
    """Columns looked up as if they were rows; parts as long as each other would be taken for them."""

    def forward(self, ids: Tensor) -> Tensor:
        scores: Tensor = self.item.weight.T[ids % WIDTH]
        return scores


def lowered(
    module: nn.Module, scheme: Scheme, capture_small: CaptureSmall, folder: Path, precision: str = "float32"
) -> tuple[Path, nn.Module]:
    compressed, codes = compress(
        module.eval().requires_grad_(False), Plan(tensors={"item.weight": scheme}), usage=READS
    )
    path = to_coreml(
        capture_small(compressed),
        folder / "small.mlpackage",
        precision=precision,
        minimum_deployment_target="iOS18",
        tensors=codes,
    )
    return path, compressed


def whole_tables(graph: Graph) -> list[str]:
    """What makes all rows of the table: products and joins that are as long and as wide as it."""
    return [
        op.type
        for op in graph.ops
        for each in op.outputs
        if not op.type.startswith("constexpr") and graph.tensors[each].shape == (ITEMS, WIDTH)
    ]


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("scheme", SCHEMES, ids=["product", "parts"])
@pytest.mark.parametrize("reads", [Reads, Linear, Batched, First, Fixed])
def test_lookups_and_scores_never_make_the_table(
    reads: type[Reads], scheme: Scheme, precision: str, capture_small: CaptureSmall, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    path, module = lowered(reads(), scheme, capture_small, tmp_path, precision)
    assert whole_tables(open_graph(path)) == []
    with CoreMLInterpreter(path) as interpreter:
        given = interpreter.run({"ids": IDS.numpy()})["scores"]
    expected = module(IDS).numpy()
    near = 2e-6 if precision == "float32" else 5e-3
    assert float(np.abs(given - expected).max()) < near * np.abs(expected).max()


@pytest.mark.parametrize("scheme", SCHEMES, ids=["product", "parts"])
@pytest.mark.parametrize("reads", [Whole, Both, Joined])
def test_what_reads_it_otherwise_reads_it_whole(
    reads: type[Reads], scheme: Scheme, capture_small: CaptureSmall, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    path, module = lowered(reads(), scheme, capture_small, tmp_path)
    assert reads is Joined or {"matmul", "gather"} & set(whole_tables(open_graph(path)))
    with CoreMLInterpreter(path) as interpreter:
        given = interpreter.run({"ids": IDS.numpy()})["scores"]
    expected = module(IDS).numpy()
    assert float(np.abs(given - expected).max()) < 2e-6 * np.abs(expected).max()


@pytest.mark.parametrize("scheme", [*SCHEMES, HALVES], ids=["product", "parts", "halves"])
@pytest.mark.parametrize("reads", [Averaged, Columns])
def test_only_rows_are_looked_up_and_only_their_scores_put_in_order(
    reads: type[Reads], scheme: Scheme, capture_small: CaptureSmall, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    path, module = lowered(reads(), scheme, capture_small, tmp_path)
    with CoreMLInterpreter(path) as interpreter:
        given = interpreter.run({"ids": IDS.numpy()})["scores"]
    expected = module(IDS).numpy()
    assert float(np.abs(given - expected).max()) < 2e-6 * np.abs(expected).max()


def read(write: Callable[[Var, Var, Var], Var], scheme: Scheme) -> list[str]:
    """The ops of a program after the pass, of what it computes from a table, a vector and ids."""
    from coremltools import target

    rng = np.random.default_rng(0)
    values = rng.normal(size=(ITEMS, WIDTH)).astype("f4")
    tensor = scheme.quantize("item.weight", values, usage=READS["item.weight"])
    given = {"vectors": Placeholder((3, 1, WIDTH), types.fp32), "ids": Placeholder((3, 2), types.int32)}
    program, function = Program(), Function(inputs=given, opset_version=target.iOS18)
    with function:
        end = Builder.const(val=np.float32(0), name="end")
        place = Place(before=end.op, transposed=False, dtype=np.float32, minimum_deployment_target="iOS18")
        table = constexpr(tensor, place)
        function.set_outputs([write(table, function.inputs["vectors"], function.inputs["ids"])])
    program.add_function("main", function)
    before = [each.op_type for each in function.operations]
    read_by_coordinates().apply(program)
    after = [each.op_type for each in function.operations]
    return [] if before == after else after


@pytest.mark.parametrize("scheme", SCHEMES, ids=["product", "parts"])
def test_rows_of_joined_tables_that_a_request_chooses_are_not_taken_for_a_table_in_parts(
    scheme: Scheme,
) -> None:
    def chosen(*others: int) -> Callable[[Var, Var, Var], Var]:
        def write(table: Var, vectors: Var, ids: Var) -> Var:
            more = [np.ones((each, WIDTH), np.float32) for each in others]
            rows = Builder.gather(x=Builder.concat(values=[table, *more], axis=0), indices=ids, axis=0)
            return Builder.matmul(x=vectors, y=rows, transpose_y=True)

        return write

    assert read(chosen(4), scheme) == []
    assert read(chosen(4, 5), scheme) == []


@pytest.mark.parametrize("taken", [True, False])
def test_only_a_constant_of_as_many_columns_is_taken_for_a_basis(taken: bool) -> None:
    def write(table: Var, vectors: Var, ids: Var) -> Var:
        keys = Builder.matmul(x=table, y=np.ones((WIDTH, WIDTH if taken else 5), np.float32))
        return Builder.gather(x=keys, indices=ids, axis=0)

    assert bool(read(write, Product(bits=4, width=4))) == taken
