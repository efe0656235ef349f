"""Every float16 that a table can hold comes out of its bits as float16 itself would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from pocketrec.convert.onnx.writer import OnnxWriter
from pocketrec.source.stubs import Source, Stub
from pocketrec.validate.runtimes.onnx_runtime import OnnxRuntime

HALVES = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
HELD = HALVES[~np.isnan(HALVES)]


def read(halves: np.ndarray, folder: Path, *, float16: bool) -> tuple[np.ndarray, onnx.ModelProto]:
    """Rows picked from stored halves, as a file of that kind gives them."""
    write = OnnxWriter("table", 0, float16=float16)
    stored = halves.reshape(-1, 1)
    picked = write.node("Gather", [write.constant(stored, "codes"), "ids"], axis=0)
    result = write.float32(picked, stored)
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


@pytest.mark.parametrize("float16", [True, False])
def test_streamed_rows_keep_their_two_bytes(float16: bool) -> None:
    write = OnnxWriter("table", 0, float16=float16)
    write.constant(Stub.of(np.float16(1.5), (70, 3), Source.of(0, "codes")), "codes")
    (held,) = write.constants
    assert held.data_type == (onnx.TensorProto.FLOAT16 if float16 else onnx.TensorProto.UINT16)
    assert list(held.dims) == [70, 3]
    assert list(write.stubs) == [held.name]
