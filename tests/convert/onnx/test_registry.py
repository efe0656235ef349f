"""The exporter's table of lowerings is made once, and what one export adds does not reach the next."""

from __future__ import annotations

import torch
from torch.onnx._internal.exporter._registration import ONNXRegistry

from pocketrec.convert.onnx.registry import registry_kept


def test_every_export_has_a_table_of_its_own_with_the_same_lowerings() -> None:
    before = vars(ONNXRegistry)["from_torchlib"]
    with registry_kept():
        first, second = (ONNXRegistry.from_torchlib(opset_version=18) for _ in range(2))
    assert vars(ONNXRegistry)["from_torchlib"] is before, "the exporter is as it was"
    op = torch.ops.aten.tanh.default
    assert first.get_decomps(op) == second.get_decomps(op) != []
    first.register_op(op, lambda x: x)
    assert len(first.get_decomps(op)) == len(second.get_decomps(op)) + 1


def test_another_opset_has_another_table() -> None:
    with registry_kept():
        tables = [ONNXRegistry.from_torchlib(opset_version=each) for each in (18, 23)]
    assert [each.opset_version for each in tables] == [18, 23]
    attention = torch.ops.aten.scaled_dot_product_attention.default
    assert tables[0].get_decomps(attention) != tables[1].get_decomps(attention)
