"""Compressed tensors in ONNX: the same codes, standard ops or ONNX Runtime's own, stored once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from onnx.numpy_helper import from_array
from torch import nn

from pocketrec.convert.capture.capture import Capture
from pocketrec.convert.lower.carry import Carrier
from pocketrec.convert.onnx import blocks as onnx_blocks
from pocketrec.convert.onnx import carry as onnx_carry
from pocketrec.convert.onnx.blocks import fits_blocks
from pocketrec.convert.onnx.carry import carry_codes
from pocketrec.convert.onnx.codes import pack
from pocketrec.convert.onnx.dialect import NATIVE, STANDARD, Dialect, web_dialect
from pocketrec.convert.onnx.lower import to_onnx
from pocketrec.errors import CannotCarry
from pocketrec.quantize import Plan, compress
from pocketrec.quantize.schemes import Scheme, scheme_to_table
from pocketrec.quantize.schemes.float16 import Float16
from pocketrec.quantize.schemes.hot_rows import HotRows
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.palette import Palette
from pocketrec.quantize.schemes.product import Product
from pocketrec.quantize.schemes.scaled_palette import ScaledPalette
from pocketrec.quantize.schemes.sparse import Sparse
from pocketrec.quantize.usage import Usage
from pocketrec.validate.artifact.sizes import tensor_sizes
from pocketrec.validate.runtimes.onnx_runtime import OnnxRuntime

Floats = npt.NDArray[np.float32]
IDS = torch.tensor([59, 0, 7], dtype=torch.int32)
CaptureSmall = Callable[[nn.Module], Capture]

SCHEMES: list[Scheme] = [
    Linear(),
    Linear(symmetric=False),
    Linear(granularity="per_tensor"),
    Linear(bits=4, granularity="per_tensor"),
    Linear(bits=4, clipping="search"),
    Linear(bits=4, granularity="per_block", block_size=8),
    Linear(bits=4, symmetric=False, granularity="per_block", block_size=8),
    *(Palette(bits=bits) for bits in (1, 2, 3, 4, 6, 8)),
    Palette(bits=4, groups=4),
    Palette(bits=4, groups=4, axis="rows"),
    ScaledPalette(bits=3),
    ScaledPalette(bits=2, block_size=8),
    Product(bits=6, width=4),
    Product(bits=4, width=2, shared=True),
    Product(bits=6, width=3, basis="principal"),
    HotRows(hot_bits=4, cold_bits=6, cold_width=4, cold_basis="principal"),
    Sparse(sparsity=0.5),
    Float16(),
    HotRows(),
    HotRows(cold_bits=2),
    HotRows(hot_bits=4, cold_bits=6, cold_width=4),
]


DIALECTS = {"native": NATIVE, "standard": STANDARD, "web": web_dialect()}


def label(scheme: Scheme) -> str:
    return "-".join(str(each) for each in scheme_to_table(scheme).values())


def tied_model(table: Floats, mix: Floats, shape: Sequence[int | str]) -> onnx.ModelProto:
    """tanh(table[ids] @ mix) @ table.T, with the table's transpose as a node and mix transposed."""
    make = onnx.helper.make_node
    nodes = [
        make("Gather", ["table", "ids"], ["rows"]),
        make("MatMul", ["rows", "mix_t"], ["mixed"]),
        make("Tanh", ["mixed"], ["state"]),
        make("Transpose", ["table"], ["turned"], perm=[1, 0]),
        make("MatMul", ["state", "turned"], ["scores"]),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "tied",
        [onnx.helper.make_tensor_value_info("ids", onnx.TensorProto.INT32, shape)],
        [onnx.helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, [*shape, 60])],
        [from_array(table, "table"), from_array(np.ascontiguousarray(mix.T), "mix_t")],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)


def carried(
    scheme: Scheme,
    tmp_path: Path,
    *,
    dialect: Dialect = NATIVE,
    shape: Sequence[int | str] = ("batch", "length"),
) -> tuple[Path, float]:
    """The file with `scheme` for both tensors, and how far its scores are from float32 arithmetic."""
    rng = np.random.default_rng(0)
    table, mix = (rng.standard_normal((rows, 16)).astype(np.float32) for rows in (60, 16))
    table[0] = 0
    other = scheme if scheme.scheme != "hot_rows" else Linear()
    tensors = {
        "item": scheme.quantize("item", table, usage=Usage(popularity=np.arange(60.0))),
        "mix": other.quantize("mix", mix),
    }
    table, mix = tensors["item"].dequantize(), tensors["mix"].dequantize()
    model, carrier = tied_model(table, mix, shape), Carrier(tensors)
    carry_codes(model, carrier, dialect=dialect)
    assert carrier.carried == {"item", "mix"}
    path = tmp_path / "x.onnx"
    onnx.save(model, path)
    onnx.checker.check_model(str(path), full_check=True)
    ids = np.array([[59, 0, 7], [1, 2, 3]], np.int32)
    with OnnxRuntime(path) as runtime:
        given = runtime.run({"ids": ids})["scores"]
    return path, float(np.abs(given - np.tanh(table[ids] @ mix.T) @ table.T).max())


def ops(path: Path) -> list[str]:
    return [each.op_type for each in onnx.load(path).graph.node]


@pytest.mark.parametrize("scheme", SCHEMES, ids=label)
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_the_file_equals_float32_arithmetic_on_the_dequantized_values(
    scheme: Scheme, dialect: Dialect, tmp_path: Path
) -> None:
    path, gap = carried(scheme, tmp_path, dialect=dialect)
    assert gap < 1e-5
    if dialect is not NATIVE:
        assert {each.domain for each in onnx.load(path).opset_import} == {""}
    if not dialect.float16:
        assert "float16" not in {each.dtype for each in tensor_sizes(path)}


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_a_tied_table_is_one_set_of_codes_in_the_file(dialect: Dialect, tmp_path: Path) -> None:
    path, _ = carried(Linear(bits=4), tmp_path, dialect=dialect)
    tables = [each for each in tensor_sizes(path) if each.shape[:1] == (60,) and each.size_bytes > 300]
    assert [(each.dtype, each.size_bytes) for each in tables] == [("uint8", 60 * 8)]
    assert ("GatherBlockQuantized" in ops(path)) == (dialect is NATIVE)


def test_a_large_4_bit_table_is_multiplied_by_its_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_blocks, "LARGE", 60)
    path, gap = carried(Linear(bits=4), tmp_path)
    assert {"GatherBlockQuantized", "MatMulNBits"} <= set(ops(path))
    assert "Transpose" not in ops(path)[-3:]
    assert gap < 1e-5


@pytest.mark.parametrize("bits", [8, 4])
def test_a_lookup_of_many_rows_is_dequantized_all_at_once(
    bits: Literal[8, 4], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for many, blocks in ((6, False), (7, True)):
        monkeypatch.setattr(onnx_carry, "MANY", many)
        path, gap = carried(Linear(bits=bits), tmp_path, shape=[2, 3])
        assert ("GatherBlockQuantized" in ops(path)) == blocks
        assert gap < 1e-5


def test_a_captured_module_is_written_with_its_codes(
    small: nn.Module, capture_small: CaptureSmall, tmp_path: Path
) -> None:
    module, codes = compress(small, Plan(tensors={"*.weight": Linear()}))
    path = to_onnx(capture_small(module), tmp_path / "x.onnx", tensors=codes)
    with OnnxRuntime(path) as runtime:
        given = runtime.run({"ids": IDS.numpy()})["scores"]
    assert float(np.abs(given - module(IDS).numpy()).max()) < 1e-5
    assert {each.dtype for each in tensor_sizes(path) if each.size_bytes >= 256} == {"uint8"}


def test_a_tensor_that_the_graph_does_not_hold_is_named() -> None:
    table = np.random.default_rng(0).standard_normal((60, 16)).astype(np.float32)
    tensors = {"other": Linear().quantize("other", table)}
    model, carrier = tied_model(table, table[:16], [2, 3]), Carrier(tensors)
    carry_codes(model, carrier)
    with pytest.raises(CannotCarry, match=r"other: linear 8 bit .*the ONNX graph holds it only in a derived"):
        carrier.check({"other"}, "ONNX")


@pytest.mark.parametrize(
    ("scheme", "columns", "fits"),
    [
        (Linear(), 17, True),
        (Linear(bits=4), 17, False),
        (Linear(bits=4), 50, True),
        (Linear(symmetric=False), 64, False),
        (Linear(granularity="per_block", block_size=16), 64, True),
        (Linear(granularity="per_block", block_size=24), 48, False),
        (Linear(granularity="per_tensor"), 64, False),
        (Palette(), 64, False),
    ],
    ids=str,
)
def test_only_what_onnx_runtimes_ops_can_read_is_given_to_them(
    scheme: Scheme, columns: int, fits: bool
) -> None:
    values = np.random.default_rng(0).standard_normal((4, columns)).astype(np.float32)
    assert fits_blocks(scheme.quantize("w", values)) == fits


def test_codes_are_packed_by_column_parts() -> None:
    assert pack(np.array([[1, 2, 3, 4, 5]], np.uint8), 4).tolist() == [[1 | 4 << 4, 2 | 5 << 4, 3]]
    assert pack(np.array([[1, 0, 1]], np.uint8), 1).tolist() == [[5]]
