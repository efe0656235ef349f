"""Beam search on artifacts gives what the model's own generate gives."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import pocketrec
from pocketrec.contract import Contract
from pocketrec.convert.onnx.lower import to_onnx
from pocketrec.errors import InputError
from pocketrec.package.host.beam import Generated, PrefixTrie, Tokens, beam_search
from pocketrec.validate.runtimes.generation import decoder_step
from pocketrec.validate.runtimes.runtime import Array, Runtime

EXAMPLE = Path(__file__).parents[3] / "docs/examples/generative_retrieval.py"
HISTORIES = ((1, 8, 14, 3, 9, 0), (2, 7, 13, 6, 12, 18), (5, 0, 0, 0, 0, 0))
Sides = dict[str, Runtime]


def _load_example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generative_retrieval", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


example = _load_example()


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    recommender: torch.nn.Module = example.GenerativeRecommender().eval()
    return recommender


@pytest.fixture(scope="module")
def opened(model: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Sides]]:
    """Target to function to runtime; the Core ML functions are one package."""
    folder = tmp_path_factory.mktemp("generative")
    captured = example.captures(model)
    package = example.to_one_package(captured, folder)
    with ExitStack() as stack:
        yield {
            "onnx": {
                name: stack.enter_context(pocketrec.open(to_onnx(each, folder / f"{name}.onnx")))
                for name, each in captured.items()
            },
            "coreml": {
                name: stack.enter_context(pocketrec.open(package, "coreml-interpreter", function=name))
                for name in captured
            },
        }


def search(sides: Sides, history: tuple[int, ...], beam_width: int, other: str = "prefix") -> Generated:
    contract: Contract = example.contract()
    ids = np.array([history], np.int32)
    given = {"history": ids, "memory": sides["encode"].run({"history": ids})["memory"]}
    step = decoder_step(sides["decode"], contract, "decode", given, tokens=other, output="logits")
    return beam_search(step, PrefixTrie(example.catalogue()), beam_width=beam_width)


@pytest.mark.parametrize("target", ["onnx", "coreml"])
@pytest.mark.parametrize("beam_width", [1, 5, 40])
def test_an_artifact_finds_what_the_models_own_generate_finds(
    model: torch.nn.Module, opened: dict[str, Sides], target: str, beam_width: int
) -> None:
    items = torch.tensor(example.catalogue())
    for history in HISTORIES:
        found = search(opened[target], history, beam_width)
        expected, scores = model.generate(torch.tensor([history]), items, beam_width)  # type: ignore[operator]
        assert found.items.tolist() == expected.tolist()
        np.testing.assert_allclose(found.scores, scores.numpy(), atol=1e-4)


def test_a_step_that_reads_another_place_of_the_prefix_finds_something_else(
    model: torch.nn.Module, opened: dict[str, Sides]
) -> None:
    ids = np.array([HISTORIES[1]], np.int32)
    memory = opened["onnx"]["encode"].run({"history": ids})["memory"]
    given = {"history": ids, "memory": memory}
    right = decoder_step(
        opened["onnx"]["decode"], example.contract(), "decode", given, tokens="prefix", output="logits"
    )

    def wrong(prefixes: Tokens) -> Array:
        return right(np.concatenate([prefixes[:, :1], prefixes[:, :-1]], axis=1))

    items = torch.tensor(example.catalogue())
    _, scores = model.generate(torch.tensor([HISTORIES[1]]), items, 5)  # type: ignore[operator]
    found = beam_search(wrong, PrefixTrie(example.catalogue()), beam_width=5)
    assert np.abs(found.scores - scores.numpy()).max() > 0.01


def test_an_input_or_output_that_is_not_there_is_named(opened: dict[str, Sides]) -> None:
    with pytest.raises(InputError, match="'tokens' is no input"):
        search(opened["onnx"], HISTORIES[0], 5, "tokens")
    with pytest.raises(InputError, match="no output 'scores'"):
        decoder_step(
            opened["onnx"]["decode"], example.contract(), "decode", {}, tokens="prefix", output="scores"
        )
