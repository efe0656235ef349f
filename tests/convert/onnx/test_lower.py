"""ONNX files carry the contract's names and dims, and answer as the module does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Feature, Output, Signature
from pocketrec.convert.capture.capture import Capture, capture
from pocketrec.convert.onnx.lower import to_onnx
from pocketrec.errors import Refused

Probes = list[dict[str, Tensor]]


def test_names_dims_and_numbers_are_the_contracts(captured: Capture, probes: Probes, tmp_path: Path) -> None:
    path = to_onnx(captured, tmp_path / "tiny.onnx")
    session = onnxruntime.InferenceSession(str(path))
    assert [(each.name, each.shape) for each in session.get_inputs()] == [
        ("history", ["batch", "length"]),
        ("genres", ["batch", 4]),
    ]
    assert [each.name for each in session.get_outputs()] == ["scores", "best_scores", "best_ids"]
    for probe in probes:
        expected = captured.module(*probe.values())
        actual = session.run(None, {name: value.numpy() for name, value in probe.items()})
        np.testing.assert_allclose(actual[0], expected[0].detach(), atol=1e-4)
        np.testing.assert_array_equal(actual[2], expected[2])


def test_the_same_capture_gives_the_same_bytes_without_a_path_of_this_machine(
    captured: Capture, tiny: nn.Module, contract: Contract, probes: Probes, tmp_path: Path
) -> None:
    files = [
        to_onnx(each, tmp_path / f"{number}.onnx").read_bytes()
        for number, each in enumerate((captured, capture(tiny, contract, "main", probes)))
    ]
    assert files[0] == files[1]
    assert str(Path(__file__).parent).encode() not in files[0]


def test_the_bag_leaves_no_loop_behind(captured: Capture, tmp_path: Path) -> None:
    model = onnx.load(to_onnx(captured, tmp_path / "tiny.onnx"))
    assert not {"Loop", "SequenceEmpty"} & {node.op_type for node in model.graph.node}


def test_an_op_without_a_lowering_is_refused_by_function_and_op(tmp_path: Path) -> None:
    class Special(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = torch.special.bessel_j0(x)
            return result

    feature = Feature(name="x", kind="dense", dtype="float32", shape=(2,))
    output = Output(name="y", meaning="score", shape=(2,))
    contract = Contract(functions={"main": Signature(inputs=(feature,), outputs=(output,))})
    captured = capture(Special(), contract, "main", [{"x": torch.rand(2)}, {"x": torch.rand(2)}])
    with pytest.raises(Refused, match=r"bessel_j0: function main: torch.onnx has no lowering"):
        to_onnx(captured, tmp_path / "special.onnx")


class Sine(nn.Module):
    """Its graph names the inner value `sin`, as the contract names an output that comes later."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(x) * torch.cos(x)


def test_an_inner_value_leaves_the_contracts_names_alone(tmp_path: Path) -> None:
    x = Feature(name="x", kind="dense", dtype="float32", shape=(2, 3))
    signature = Signature(inputs=(x,), outputs=(Output(name="sin", meaning="score", shape=(2, 3)),))
    probes = [{"x": torch.randn(2, 3)} for _ in range(2)]
    captured = capture(Sine().eval(), Contract(functions={"main": signature}), "main", probes)
    session = onnxruntime.InferenceSession(str(to_onnx(captured, tmp_path / "sine.onnx")))
    (actual,) = session.run(["sin"], {"x": probes[0]["x"].numpy()})
    np.testing.assert_allclose(actual, Sine()(probes[0]["x"]), atol=1e-6)
