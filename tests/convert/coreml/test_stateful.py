"""A recurrent step as an artifact: the state explicit everywhere, or Core ML's own on iOS18."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.convert.capture.capture import Capture, capture
from pocketrec.convert.coreml.lower import program_for, to_coreml
from pocketrec.convert.coreml.stateful import with_states, without_states
from pocketrec.convert.onnx.lower import to_onnx
from pocketrec.errors import ContractError, ConversionError, InputError
from pocketrec.validate.coreml_program import CoreMLInterpreter
from pocketrec.validate.open import open_artifact

Array = npt.NDArray[Any]
ITEMS, WIDTH = 40, 16
SESSIONS = ((3, 17, 3, 39, 5), (8, 1), (3, 17, 22))


class SessionStep(nn.Module):
    """One step of a two-layer GRU over the items of a session."""

    def __init__(self) -> None:
        super().__init__()
        self.item = nn.Embedding(ITEMS, WIDTH)
        self.first, self.second = nn.GRUCell(WIDTH, WIDTH), nn.GRUCell(WIDTH, WIDTH)

    def forward(self, item: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores of all items after this one, and the next states."""
        next_low = self.first(self.item(item), low)
        next_high = self.second(next_low, high)
        return next_high @ self.item.weight.T, next_low, next_high


def state(name: str) -> Feature:
    return Feature(
        name=name, kind="state", dtype="float32", shape=("batch", WIDTH), minimum=-1.0, maximum=1.0
    )


def update(name: str) -> Output:
    return Output(name=f"next_{name}", meaning="state", shape=("batch", WIDTH), updates=name)


ITEM = Feature(name="item", kind="id", shape=("batch",), vocabulary="item")
SCORES = Output(name="scores", meaning="score", shape=("batch", ITEMS), vocabulary="item")
SIGNATURE = Signature(
    inputs=(ITEM, state("low"), state("high")), outputs=(SCORES, update("low"), update("high"))
)
CONTRACT = Contract(
    functions={"main": SIGNATURE},
    dims={"batch": Dim(max=4)},
    vocabularies={"item": VocabularySpec(size=ITEMS)},
)


@pytest.fixture(scope="module")
def module() -> nn.Module:
    torch.manual_seed(0)
    return SessionStep().eval()


@pytest.fixture(scope="module")
def captured(module: nn.Module) -> Capture:
    generator = torch.Generator().manual_seed(0)

    def probe(batch: int) -> dict[str, Tensor]:
        item = torch.randint(0, ITEMS, (batch,), generator=generator, dtype=torch.int32)
        low, high = torch.rand(2, batch, WIDTH, generator=generator) * 2 - 1
        return {"item": item, "low": low, "high": high}

    return capture(module, CONTRACT, "main", [probe(3), probe(1), probe(4)])


@pytest.fixture(scope="module")
def stateful(captured: Capture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stateful") / "step.mlpackage"
    return to_coreml(captured, path, precision="float32", minimum_deployment_target="iOS18", stateful=True)


def expected(module: nn.Module) -> list[Array]:
    """PyTorch's scores, step by step, every session from zeros."""
    scores = []
    for session in SESSIONS:
        low = high = torch.zeros(1, WIDTH)
        for item in session:
            with torch.no_grad():
                given, low, high = module(torch.tensor([item]), low, high)
            scores.append(given.numpy())
    return scores


def zeros() -> dict[str, Array]:
    return {name: np.zeros((1, WIDTH), np.float32) for name in ("low", "high")}


@pytest.mark.parametrize("target", ["onnx", "coreml"])
def test_explicit_states_follow_pytorch_through_every_session(
    module: nn.Module, captured: Capture, tmp_path: Path, target: str
) -> None:
    if target == "onnx":
        path = to_onnx(captured, tmp_path / "step.onnx")
    else:
        path = to_coreml(captured, tmp_path / "step.mlpackage", precision="float32")
    actual = []
    with open_artifact(path, "onnxruntime" if target == "onnx" else "coreml-interpreter") as runtime:
        for session in SESSIONS:
            states = zeros()
            for item in session:
                outputs = runtime.run({"item": np.array([item], np.int32), **states})
                states = {name: outputs[f"next_{name}"] for name in states}
                actual.append(outputs["scores"])
    np.testing.assert_allclose(np.array(actual), expected(module), atol=1e-5)


def sessions(path: Path, *, reset: bool) -> list[Array]:
    scores = []
    with CoreMLInterpreter(path) as runtime:
        states = runtime.make_state()
        for session in SESSIONS:
            if reset:
                states = runtime.make_state()
            scores += [
                runtime.run({"item": np.array([i], np.int32)}, state=states)["scores"] for i in session
            ]
    return scores


def test_a_program_that_keeps_its_states_follows_pytorch_through_every_session(
    module: nn.Module, stateful: Path
) -> None:
    scores = np.array(sessions(stateful, reset=True))
    assert scores.dtype == np.float32
    # Core ML keeps states in float16: numbers below 1 with a spacing of 2**-11, 16 of them in a score.
    np.testing.assert_allclose(scores, expected(module), atol=5e-3)


def test_a_session_that_is_not_reset_is_another_one(module: nn.Module, stateful: Path) -> None:
    first = len(SESSIONS[0])
    scores, right = np.array(sessions(stateful, reset=False)), np.array(expected(module))
    np.testing.assert_allclose(scores[:first], right[:first], atol=5e-3)
    assert np.abs(scores[first:] - right[first:]).max() > 0.05


def test_what_the_program_keeps_is_neither_input_nor_output(stateful: Path) -> None:
    with CoreMLInterpreter(stateful) as runtime:
        described = runtime.describe()
        assert [each.name for each in described.inputs] == ["item"]
        assert [each.name for each in described.outputs] == ["scores"]
        assert set(runtime.make_state()) == {"low", "high"}
        with pytest.raises(InputError, match="is not known; expected item"):
            runtime.run({"item": np.array([1], np.int32), **zeros()})


def test_states_are_bound_by_name_and_not_by_order(captured: Capture) -> None:
    low, high = replace(update("low"), updates="high"), replace(update("high"), updates="low")
    crossed = replace(SIGNATURE, outputs=(SCORES, low, high))
    program = program_for(captured, ())
    straight = with_states(program, SIGNATURE).graph_signature.buffers_to_mutate
    assert list(straight.values()) == ["low", "high"]
    assert list(with_states(program, crossed).graph_signature.buffers_to_mutate.values()) == ["high", "low"]
    assert not program.graph_signature.buffers_to_mutate


def test_a_state_whose_size_is_free_is_refused(captured: Capture) -> None:
    with pytest.raises(ConversionError, match=r"state low has the shape \['batch', 16\]"):
        with_states(captured.program, SIGNATURE)


def test_a_function_without_states_or_of_states_only_is_refused() -> None:
    plain = Signature(inputs=(ITEM,), outputs=(SCORES,))
    with pytest.raises(ConversionError, match="no input of kind 'state'"):
        without_states(plain)
    with pytest.raises(ConversionError, match="states only"):
        without_states(Signature(inputs=(state("low"),), outputs=(update("low"),)))


@pytest.mark.parametrize(("target", "frontend"), [("iOS17", "export"), ("iOS18", "trace")])
def test_a_state_of_its_own_needs_ios18_and_an_exported_program(
    captured: Capture, tmp_path: Path, target: str, frontend: str
) -> None:
    with pytest.raises(ConversionError, match=f"got '{target}' and '{frontend}'"):
        to_coreml(
            captured,
            tmp_path / "step.mlpackage",
            minimum_deployment_target=target,
            frontend=frontend,
            stateful=True,
        )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: replace(state("low"), dtype="int32"), "a state is float32, not int32"),
        (lambda: replace(SCORES, updates="low"), "its meaning is 'score'; expected 'state'"),
        (
            lambda: Signature(inputs=(ITEM,), outputs=(SCORES, update("low"))),
            "updates 'low'; expected an input of kind 'state'",
        ),
        (
            lambda: Signature(
                inputs=(ITEM, state("low")), outputs=(SCORES, replace(update("low"), shape=("batch", 3)))
            ),
            r"of shape \['batch', 3\]",
        ),
        (
            lambda: Signature(inputs=(ITEM, state("low")), outputs=(SCORES,)),
            "0 outputs update this state; expected one with updates = 'low'",
        ),
    ],
)
def test_a_state_that_nothing_updates_or_that_does_not_fit_is_named(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        make()
