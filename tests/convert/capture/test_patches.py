"""A recurrent layer is one op over any number of steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._decomp import decomposition_table

from pocketrec.contract import Contract, Dim, Feature, Output, Signature
from pocketrec.convert.capture.export import export_program
from pocketrec.convert.capture.patches import recurrent_shapes
from pocketrec.convert.watch.contract_module import ContractModule

DIMS = {"batch": Dim(max=8), "length": Dim(max=12)}


class Encoder(nn.Module):
    """The outputs of two layers, batch first or not, and the states after the last step."""

    def __init__(self, kind: Any, *, bidirectional: bool, batch_first: bool) -> None:
        super().__init__()
        self.layer = kind(3, 4, num_layers=2, bidirectional=bidirectional, batch_first=batch_first)
        self.batch_first = batch_first

    def forward(self, x: Tensor) -> Tensor:
        outputs, last = self.layer(x if self.batch_first else x.transpose(0, 1))
        outputs = outputs if self.batch_first else outputs.transpose(0, 1)
        states = torch.cat([*last] if isinstance(last, tuple) else [last])
        read: Tensor = outputs.mean(dim=(1, 2)) + states.sum(dim=(0, 2))
        return read


def exported(module: nn.Module) -> torch.export.ExportedProgram:
    signature = Signature(
        inputs=(Feature(name="x", kind="dense", dtype="float32", shape=("batch", "length", 3)),),
        outputs=(Output(name="y", meaning="score", shape=("batch",)),),
    )
    contract = Contract(functions={"main": signature}, dims=DIMS)
    wrapped = ContractModule(module, contract, signature)
    return export_program(wrapped, (torch.rand(2, 5, 3),), DIMS, "main")


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
@pytest.mark.parametrize(("bidirectional", "batch_first"), [(False, True), (True, False)])
def test_a_free_length_stays_free_and_every_length_is_computed(
    kind: Any, bidirectional: bool, batch_first: bool
) -> None:
    torch.manual_seed(0)
    module = Encoder(kind, bidirectional=bidirectional, batch_first=batch_first).eval()
    program = exported(module)
    layers = [
        each for each in program.graph.nodes if str(each.target) in ("aten.gru.input", "aten.lstm.input")
    ]
    assert len(layers) == 1
    for batch, length in ((1, 1), (3, 12)):
        x = torch.rand(batch, length, 3)
        torch.testing.assert_close(program.module()(x)[0], module(x))


def test_tensors_with_values_are_computed_and_afterwards_all_is_as_before() -> None:
    op, key = torch.ops.aten.gru.input, torch._C.DispatchKey.CompositeImplicitAutograd
    table, kernel = dict(decomposition_table), op.py_kernels[key]
    layer, x = nn.GRU(3, 4), torch.rand(5, 2, 3)
    arguments = (x, torch.zeros(1, 2, 4), list(layer.parameters()), True, 1, 0.0, False, False, False)
    with torch.no_grad(), recurrent_shapes():
        assert dict(decomposition_table) != table
        assert op.py_kernels[key] is not kernel
        torch.testing.assert_close(op.py_kernels[key](*arguments)[0], layer(x)[0])
    assert dict(decomposition_table) == table
    assert op.py_kernels[key] is kernel
