"""Inputs and outputs without axes work on Core ML, where the package has one axis of size 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pocketrec
from pocketrec.contract import Contract, Feature, Output, Signature
from pocketrec.convert.capture.capture import capture
from pocketrec.convert.coreml.lower import to_coreml
from pocketrec.errors import ConversionError
from pocketrec.validate.measure.parity import check_parity
from pocketrec.validate.runtimes.fit import run_fitted


class Sharpened(nn.Module):
    """Shares at a temperature, and their entropy."""

    def forward(self, scores: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor]:
        shares = (scores / temperature).softmax(-1)
        return shares, -(shares * shares.log()).sum()


def _contract() -> Contract:
    scores = Feature(name="scores", kind="dense", dtype="float32", shape=(4,))
    temperature = Feature(name="temperature", kind="dense", dtype="float32", shape=())
    outputs = (
        Output(name="shares", meaning="probability", shape=(4,)),
        Output(name="entropy", meaning="score", shape=()),
    )
    return Contract(functions={"main": Signature(inputs=(scores, temperature), outputs=outputs)})


@pytest.mark.parametrize("frontend", ["export", "trace"])
def test_a_scalar_goes_in_and_comes_out_as_in_the_framework(tmp_path: Path, frontend: str) -> None:
    contract, module = _contract(), Sharpened().eval()
    probe = {"scores": torch.tensor([1.0, 2.0, 0.5, -1.0]), "temperature": torch.tensor(0.7)}
    captured = capture(module, contract, "main", [probe])
    path = to_coreml(captured, tmp_path / "sharpened.mlpackage", precision="float32", frontend=frontend)
    inputs: dict[str, Any] = {
        "scores": np.array([3, 1, 2, 0], np.float32),
        "temperature": np.asarray(2.0, np.float32),
    }
    expected = module(*(torch.from_numpy(each) for each in inputs.values()))
    signature = contract.functions["main"]
    with pocketrec.open(path) as artifact:
        assert [each.shape for each in artifact.describe().inputs] == [(4,), (1,)]
        given: dict[str, Any] = dict(artifact.run(inputs))
        assert given["entropy"].shape == (1,)
        np.testing.assert_allclose(given["entropy"], [expected[1]], rtol=1e-5)
        np.testing.assert_allclose(given["shares"], expected[0], rtol=1e-5)
        fitted = run_fitted(artifact, contract, signature, inputs)
    promised = {each.name: value.numpy() for each, value in zip(signature.outputs, expected, strict=True)}
    for result in check_parity([promised], [fitted], ["p"], signature, function="main", tie_tolerance=0):
        assert not result.failure
        assert result.max_abs_error < 1e-5


def test_a_word_of_core_ml_names_no_input_of_a_contract(tmp_path: Path) -> None:
    scores = Feature(name="list", kind="dense", dtype="float32", shape=(4,))
    signature = Signature(inputs=(scores,), outputs=(Output(name="y", meaning="score", shape=(4,)),))
    captured = capture(
        nn.Softmax(-1), Contract(functions={"main": signature}), "main", [{"list": torch.ones(4)}]
    )
    with pytest.raises(ConversionError, match=r"'list' is a word of Core ML's own.*list_value"):
        to_coreml(captured, tmp_path / "y.mlpackage")


def test_a_module_of_scalars_converts_from_its_example(tmp_path: Path) -> None:
    found = pocketrec.convert_module(Sharpened().eval(), (torch.rand(4), torch.tensor(0.5)), tmp_path)
    assert sorted(found.artifacts) == ["coreml", "onnx"]
    assert all(not each.failure for results in found.parity.values() for each in results)
