"""Every float16 that a table can hold comes out of its bytes as float16 itself would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from pocketrec.convert.onnx.writer import OnnxWriter
from pocketrec.source.stubs import Source, Stub
from pocketrec.validate.runtimes.onnx_runtime import OnnxRuntime

HALVES = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
HELD = HALVES[~np.isnan(HALVES)]


def read(halves: np.ndarray, folder: Path, *, float16: bool) -> tuple[np.ndarray, onnx.ModelProto]:
    """Rows picked from stored halves, as a file of that kind gives them."""
    write = OnnxWriter("table", 0, float16=float16)
    stored = halves.reshape(-1, 1)
    result = write.numbers(stored, "codes", "ids")
    graph = onnx.helper.make_graph(
        write.take(),
        "halves",
        [onnx.helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, ["n"])],
        [onnx.helper.make_tensor_value_info(result, onnx.TensorProto.FLOAT, ["n", 1])],
        write.constants,
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    path = folder / f"{float16}.onnx"
    onnx.save(model, path)
    with OnnxRuntime(path) as runtime:
        return runtime.run({"ids": np.arange(len(halves))})[result].ravel(), model


def test_every_number_is_exact_with_its_sign_infinities_and_subnormal_ones_too(tmp_path: Path) -> None:
    given, model = read(HELD, tmp_path, float16=False)
    assert len(given) == 65_536 - 2 * 1023
    assert given.tobytes() == HELD.astype(np.float32).tobytes()
    assert {each.data_type for each in model.graph.initializer}.isdisjoint({onnx.TensorProto.FLOAT16})


def test_where_float16_may_be_stored_it_is(tmp_path: Path) -> None:
    given, model = read(HELD, tmp_path, float16=True)
    assert given.tobytes() == HELD.astype(np.float32).tobytes()
    assert [each.data_type for each in model.graph.initializer] == [onnx.TensorProto.FLOAT16]


def test_few_numbers_are_float32_without_a_node_that_decodes(tmp_path: Path) -> None:
    few = HELD[1:100]
    given, model = read(few, tmp_path, float16=False)
    assert given.tobytes() == few.astype(np.float32).tobytes()
    assert [each.op_type for each in model.graph.node] == ["Gather"]
    assert [each.data_type for each in model.graph.initializer] == [onnx.TensorProto.FLOAT]


def test_streamed_rows_keep_their_two_bytes_in_two_arrays() -> None:
    write = OnnxWriter("table", 0, float16=False)
    write.numbers(Stub.of(np.float16(1.5), (70, 3), Source.of(0, "codes")), "codes")
    high, low = (write.stubs[each.name] for each in write.constants if each.name in write.stubs)
    rows = HELD[:210].reshape(70, 3)
    bits = rows.view(np.uint16)
    assert high.shape == low.shape == (70, 3)
    assert high.source is not None
    assert low.source is not None
    assert np.array_equal(high.source.make({"codes": rows}), bits >> 8)
    assert np.array_equal(low.source.make({"codes": rows}), bits & 255)
