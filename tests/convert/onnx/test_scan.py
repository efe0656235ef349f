"""The k best rows of a large table: the answers of float32 arithmetic, whatever has to be refined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx.numpy_helper import from_array

from pocketrec.convert.lower.carry import Carrier
from pocketrec.convert.onnx import scan as onnx_scan
from pocketrec.convert.onnx.carry import carry_codes
from pocketrec.convert.onnx.dialect import STANDARD
from pocketrec.convert.onnx.scan import lengths
from pocketrec.quantize import QuantizedTensor
from pocketrec.quantize.schemes import Scheme
from pocketrec.quantize.schemes.float16 import Float16
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.source.stubs import Source, Stub
from pocketrec.validate.runtimes.onnx_runtime import OnnxRuntime

Floats = npt.NDArray[np.float32]
WIDTH, K = 16, 5


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes at which a table of a few hundred rows has pieces, chunks and rounds."""
    for name, value in (("LARGE", 100), ("CHUNK", 4), ("_PIECE", 64), ("_SPARE", 2), ("_FURTHER", 1)):
        monkeypatch.setattr(onnx_scan, name, value)


def retrieval(table: Floats, *, scores: bool = False, largest: int = 1) -> onnx.ModelProto:
    """The K best of `vector` times the transposed table, and rows `ids` of the table."""
    make, info = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    nodes = [
        make("Transpose", ["table"], ["turned"], perm=[1, 0]),
        make("MatMul", ["vector", "turned"], ["scores"]),
        make("TopK", ["scores", "k"], ["best", "rows"], largest=largest),
        make("Gather", ["table", "ids"], ["looked_up"]),
    ]
    outputs = [
        info("best", onnx.TensorProto.FLOAT, ["batch", K]),
        info("rows", onnx.TensorProto.INT64, ["batch", K]),
        info("looked_up", onnx.TensorProto.FLOAT, [1, WIDTH]),
    ]
    product = info("scores", onnx.TensorProto.FLOAT, ["batch", len(table)])
    graph = onnx.helper.make_graph(
        nodes,
        "retrieval",
        [
            info("vector", onnx.TensorProto.FLOAT, ["batch", WIDTH]),
            info("ids", onnx.TensorProto.INT64, [1]),
        ],
        [*outputs, product] if scores else outputs,
        [from_array(table, "table"), from_array(np.array([K]), "k")],
        value_info=[] if scores else [product],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)


def carried(table: Floats, path: Path, scheme: Scheme | None = None, **options: Any) -> QuantizedTensor:
    tensor = (scheme or Linear()).quantize("item", table)
    model = retrieval(tensor.dequantize(), **options)
    carry_codes(model, Carrier({"item": tensor}), dialect=STANDARD)
    onnx.save(model, path)
    onnx.checker.check_model(str(path), full_check=True)
    return tensor


def ops(path: Path) -> set[str]:
    return {each.op_type for each in onnx.load(path).graph.node}


def best(path: Path, vectors: Floats) -> tuple[Any, Any]:
    with OnnxRuntime(path) as runtime:
        found = runtime.run({"vector": vectors, "ids": np.array([0])})
    return found["best"], found["rows"]


def tables() -> dict[str, Floats]:
    rng = np.random.default_rng(0)
    spread = rng.standard_normal((403, WIDTH)).astype(np.float32)
    near = (spread[:1] + 1e-2 * spread).astype(np.float32)
    return {
        "spread": spread,
        "whole chunks": spread[:400],
        "nearly equal rows": near,
        "lengths far apart": spread * rng.lognormal(0, 2, (403, 1)).astype(np.float32),
        "rows of zeros": spread * (np.arange(403) % 3 == 0)[:, None].astype(np.float32),
    }


@pytest.mark.parametrize("name", list(tables()))
def test_scores_and_rows_are_those_of_float32_arithmetic(name: str, tmp_path: Path) -> None:
    tensor = carried(tables()[name], tmp_path / "x.onnx")
    values = tensor.dequantize()
    vectors = np.random.default_rng(1).standard_normal((3, WIDTH)).astype(np.float32)
    scores, rows = best(tmp_path / "x.onnx", vectors)
    exact = vectors @ values.T
    assert {"MatMulInteger", "Loop"} <= ops(tmp_path / "x.onnx")
    np.testing.assert_allclose(scores, -np.sort(-exact)[:, :K], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(exact, rows, 1), scores, rtol=1e-5, atol=1e-5)
    assert all(len(set(row)) == K for row in rows.tolist())


def test_a_vector_of_zeros_and_a_tiny_one_have_answers(tmp_path: Path) -> None:
    tensor = carried(tables()["spread"], tmp_path / "x.onnx")
    vector = np.random.default_rng(1).standard_normal((1, WIDTH)).astype(np.float32) * np.float32(1e-20)
    scores, rows = best(tmp_path / "x.onnx", np.concatenate([vector, np.zeros_like(vector)]))
    expected = np.argsort(-(vector @ tensor.dequantize().T)[0])[:K]
    assert rows[0].tolist() == expected.tolist()
    assert not scores[1].any()


@pytest.mark.parametrize("bounded", [True, False])
def test_a_coarse_scan_is_exact_through_its_bound_alone(
    bounded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_scan, "_LEVELS", 1)
    if not bounded:
        monkeypatch.setattr(onnx_scan, "lengths", lambda codes: np.zeros((len(codes), 1), np.uint8))
    tensor = carried(tables()["spread"], tmp_path / "x.onnx")
    vectors = np.random.default_rng(1).standard_normal((20, WIDTH)).astype(np.float32)
    expected = -np.sort(-vectors @ tensor.dequantize().T)[:, :K]
    found = np.concatenate([best(tmp_path / "x.onnx", vector[None])[0] for vector in vectors])
    assert (np.abs(found - expected).max() < 1e-5) == bounded


def test_a_scanned_table_is_stored_once_and_looked_up_from_the_same_codes(tmp_path: Path) -> None:
    tensor = carried(tables()["spread"], tmp_path / "x.onnx")
    with OnnxRuntime(tmp_path / "x.onnx") as runtime:
        found = runtime.run({"vector": np.ones((1, WIDTH), np.float32), "ids": np.array([402])})
    assert np.array_equal(found["looked_up"], tensor.dequantize()[402:])
    large = [each for each in onnx.load(tmp_path / "x.onnx").graph.initializer if len(each.raw_data) > 2000]
    assert [each.name for each in large] == ["item/codes0"]


@pytest.mark.parametrize(
    "case",
    [
        {"scheme": Linear(symmetric=False)},
        {"scheme": Linear(granularity="per_block", block_size=8)},
        {"scheme": Linear(bits=4)},
        {"largest": 0},
        {"scores": True},
    ],
    ids=str,
)
def test_what_is_no_scan_is_multiplied_in_float32(case: dict[str, Any], tmp_path: Path) -> None:
    carried(tables()["spread"], tmp_path / "x.onnx", **case)
    assert "Loop" not in ops(tmp_path / "x.onnx")
    assert "MatMul" in ops(tmp_path / "x.onnx")


def test_a_small_table_is_multiplied_in_float32(tmp_path: Path) -> None:
    carried(tables()["spread"][:99], tmp_path / "x.onnx")
    assert "MatMulInteger" not in ops(tmp_path / "x.onnx")


def test_lengths_are_never_too_short_and_the_same_for_streamed_codes() -> None:
    codes = np.random.default_rng(0).integers(-128, 128, (1000, WIDTH)).astype(np.int8)
    exact = np.linalg.norm(codes.astype(np.float64), axis=1)
    found = lengths(codes)[:, 0] * (128 * np.sqrt(WIDTH) / 255)
    assert (found >= exact).all()
    assert (found <= exact + 128 * np.sqrt(WIDTH) / 255 * 1.05).all()
    stub = Stub.of(np.int8(1), codes.shape, Source.of(0, "codes"))
    streamed = lengths(stub)
    assert isinstance(streamed, Stub)
    assert streamed.source is not None
    assert np.array_equal(streamed.source.make({"codes": codes}), lengths(codes))


def biased(table: Floats, bias: Any, form: str, *, scores: bool = False) -> onnx.ModelProto:
    """As `retrieval`, with a bias per row that is added by a node of its own or by the product's."""
    model = retrieval(table)
    graph = model.graph
    turn, product, *_ = graph.node
    if form == "Add":
        product.output[0] = "products"
        graph.value_info[0].name = "products"
        graph.node.insert(2, onnx.helper.make_node("Add", ["bias", "products"], ["scores"]))
    else:
        graph.node.remove(turn)
        gemm = onnx.helper.make_node("Gemm", ["vector", "table", "bias"], ["scores"], transB=1)
        if form == "Gemm twice":
            gemm.attribute.append(onnx.helper.make_attribute("alpha", 2.0))
        product.CopyFrom(gemm)
    graph.initializer.append(from_array(bias, "bias"))
    if scores:
        kind = onnx.TensorProto.FLOAT
        graph.output.append(onnx.helper.make_tensor_value_info("scores", kind, ["batch", len(table)]))
    return model


def biases() -> dict[str, Floats]:
    rng = np.random.default_rng(2)
    normal = rng.standard_normal(403).astype(np.float32)
    return {
        "small": 1e-3 * normal,
        "larger than all products": 1e4 * normal,
        "one row far ahead": np.where(np.arange(403) == 77, 1e3, normal).astype(np.float32),
        "rows left out": np.where(np.arange(403) % 2 == 0, -np.inf, normal).astype(np.float32),
    }


@pytest.mark.parametrize("name", list(biases()))
@pytest.mark.parametrize("form", ["Add", "Gemm"])
@pytest.mark.parametrize("table", ["spread", "nearly equal rows", "lengths far apart"])
def test_a_bias_per_row_is_part_of_the_scan(name: str, form: str, table: str, tmp_path: Path) -> None:
    bias, tensor = biases()[name], Linear().quantize("item", tables()[table])
    model = biased(tensor.dequantize(), bias[None] if form == "Add" else bias, form)
    carry_codes(model, Carrier({"item": tensor}), dialect=STANDARD)
    onnx.save(model, tmp_path / "x.onnx")
    onnx.checker.check_model(str(tmp_path / "x.onnx"), full_check=True)
    assert {"MatMulInteger", "Loop"} <= ops(tmp_path / "x.onnx")
    assert not {"Gemm", "Transpose"} & {each.op_type for each in model.graph.node if "scores" in each.output}
    vectors = np.random.default_rng(1).standard_normal((3, WIDTH)).astype(np.float32)
    scores, rows = best(tmp_path / "x.onnx", vectors)
    exact = vectors @ tensor.dequantize().T + bias
    np.testing.assert_allclose(scores, -np.sort(-exact)[:, :K], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(exact, rows, 1), scores, rtol=1e-5, atol=1e-5)
    assert all(len(set(row)) == K for row in rows.tolist())


@pytest.mark.parametrize(
    ("form", "bias", "scores"),
    [
        ("Gemm twice", biases()["small"], False),  # the product is scaled
        ("Gemm", biases()["small"], True),  # the scores are an output
        ("Add", biases()["small"], True),
        ("Add", np.array([0.5], np.float32), False),  # one number for all rows
        ("Gemm", np.full(403, np.nan, np.float32), False),
    ],
)
def test_other_biases_and_products_are_multiplied_as_they_are(
    form: str, bias: Any, scores: bool, tmp_path: Path
) -> None:
    tensor = Linear().quantize("item", tables()["spread"])
    model = biased(tensor.dequantize(), bias, form, scores=scores)
    carry_codes(model, Carrier({"item": tensor}), dialect=STANDARD)
    assert "MatMulInteger" not in {each.op_type for each in model.graph.node}


def test_a_bias_that_is_stored_as_codes_stays_in_its_node(tmp_path: Path) -> None:
    tensor = Linear().quantize("item", tables()["spread"])
    narrow = Float16().quantize("bias", biases()["small"])
    model = biased(tensor.dequantize(), narrow.dequantize(), "Gemm")
    carrier = Carrier({"item": tensor, "bias": narrow})
    carry_codes(model, carrier, dialect=STANDARD)
    assert "MatMulInteger" not in {each.op_type for each in model.graph.node}
    assert carrier.carried == {"item", "bias"}
