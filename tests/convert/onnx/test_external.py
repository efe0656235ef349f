"""What does not go through protobuf: large tables stay the module's own memory until they are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import torch
from torch import Tensor

from pocketrec.convert.onnx.external import array_of, hide_large, save


def model_of(**tensors: Tensor) -> onnx_ir.Model:
    """A graph that holds these constants."""
    values = []
    for name, tensor in tensors.items():
        held = onnx_ir.tensor_adapters.TorchTensor(tensor, name=name)
        values.append(onnx_ir.Value(name=name, const_value=held, type=onnx_ir.TensorType(held.dtype)))
    graph = onnx_ir.Graph([], [], nodes=[], initializers=values, opset_imports={"": 20}, name="main")
    return onnx_ir.Model(graph, ir_version=10)


def test_a_large_table_is_neither_copied_nor_serialized_and_is_written_beside_the_model(
    tmp_path: Path,
) -> None:
    table, small = torch.arange(4096.0).reshape(512, 8), torch.ones(3, 2)
    model = model_of(table=table, small=small)
    hidden = hide_large(model, large_bytes=1000)
    assert set(hidden) == {"table"}
    assert np.shares_memory(hidden["table"], table.numpy())
    proto = onnx_ir.to_proto(model)
    assert len(proto.SerializeToString()) < 1000
    assert all(
        (array_of(each, hidden) == {"table": table, "small": small}[each.name].numpy()).all()
        for each in proto.graph.initializer
    )
    save(proto, tmp_path / "m.onnx", hidden, [], large_bytes=1000)
    stored = {
        each.name: onnx.numpy_helper.to_array(each)
        for each in onnx.load(tmp_path / "m.onnx").graph.initializer
    }
    assert np.array_equal(stored["table"], table.numpy())
    assert np.array_equal(stored["small"], small.numpy())
    assert (tmp_path / "m.onnx.data").stat().st_size == table.nbytes


def test_transposed_views_and_vectors_keep_their_values(tmp_path: Path) -> None:
    turned, vector = torch.arange(600.0).reshape(20, 30).T, torch.arange(500, dtype=torch.int64)
    model = model_of(turned=turned, vector=vector)
    hidden = hide_large(model, large_bytes=1000)
    assert set(hidden) == {"turned"}  # what rewrites of the graph look into is small or a vector
    proto = onnx_ir.to_proto(model)
    save(proto, tmp_path / "m.onnx", hidden, [], large_bytes=1000)
    stored = {
        each.name: onnx.numpy_helper.to_array(each)
        for each in onnx.load(tmp_path / "m.onnx").graph.initializer
    }
    assert np.array_equal(stored["turned"], turned.numpy())
    assert np.array_equal(stored["vector"], vector.numpy())
