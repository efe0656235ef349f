"""The audit of an artifact: by what it says of itself, or by the ops that dequantize."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.numpy_helper import from_array

from pocketrec.errors import ArtifactError
from pocketrec.validate.artifact.sizes import describe_artifact
from pocketrec.validate.artifact.stored import METADATA, stated


def test_an_artifact_says_what_it_stores() -> None:
    rows = stated({METADATA: '{"a":["linear 4 bit",[10,64],340],"b":["float16",[3],6]}'})
    assert [(each.name, each.method, each.shape) for each in rows] == [
        ("a", "linear 4 bit", (10, 64)),
        ("b", "float16", (3,)),
    ]
    assert rows[0].bits == pytest.approx(4.25)
    assert (rows[0].bytes_before, rows[0].bytes_after) == (2560, 340)
    assert stated({}) == ()


_DAMAGED = (
    "{",
    "[1]",
    "[" * 9999,
    '{"a": 3}',
    '{"a": ["x", ["y"], 3]}',
    '{"a": ["x", [1e999], 3]}',
    f'{{"a": ["x", [3], {10**400}]}}',
)


@pytest.mark.parametrize("text", _DAMAGED)
def test_damaged_metadata_is_an_error(text: str) -> None:
    with pytest.raises(ArtifactError, match=r"metadata 'pocketrec\.compression' is damaged"):
        stated({METADATA: text})


def test_a_foreign_onnx_file_is_read_by_its_ops(tmp_path: Path) -> None:
    codes = from_array(np.zeros((10, 64), np.int8), "codes")
    scales = from_array(np.ones(10, np.float32), "scales")
    nodes = [
        onnx.helper.make_node("DequantizeLinear", ["codes", "scales"], ["table"], axis=0),
        onnx.helper.make_node("Gather", ["table", "ids"], ["rows"]),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "foreign",
        [onnx.helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, [3])],
        [onnx.helper.make_tensor_value_info("rows", onnx.TensorProto.FLOAT, [3, 64])],
        [codes, scales],
    )
    path = tmp_path / "foreign.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)]), path)
    (row,) = describe_artifact(path).compressed
    assert (row.name, row.method, row.shape) == ("codes", "DequantizeLinear", (10, 64))
    assert row.bytes_after == 640 + 40
