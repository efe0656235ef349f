"""Beam search on artifacts gives what the model's own generate gives; the trie forbids the rest."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import pocketrec
from pocketrec.contract import Contract
from pocketrec.convert.onnx.lower import to_onnx
from pocketrec.errors import DataError, ExecutionError, InputError
from pocketrec.validate.runtimes.generation import (
    Generated,
    PrefixTrie,
    Step,
    Tokens,
    beam_search,
    decoder_step,
)
from pocketrec.validate.runtimes.runtime import Array, Runtime

EXAMPLE = Path(__file__).parents[3] / "docs/examples/generative_retrieval.py"
HISTORIES = ((1, 8, 14, 3, 9, 0), (2, 7, 13, 6, 12, 18), (5, 0, 0, 0, 0, 0))
ITEMS = [(1, 4, 6), (1, 4, 7), (1, 5, 6), (2, 5, 8)]
Sides = dict[str, Runtime]


def _load_example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generative_retrieval", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


example = _load_example()


def fixed(logits: Array) -> Step:
    """The same logits for every prefix."""
    return lambda prefixes: np.repeat(logits[None], len(prefixes), axis=0)


def by_hash(prefixes: Tokens) -> Array:
    """Logits that depend on every token of the prefix, of 9 tokens."""
    return np.stack([np.random.default_rng(each.tolist()).normal(size=9) for each in prefixes])


def test_a_prefix_allows_only_what_some_item_continues_with() -> None:
    trie = PrefixTrie(ITEMS)
    assert trie.allowed(()).tolist() == [1, 2]
    assert trie.allowed((1, 4)).tolist() == [6, 7]
    assert trie.allowed((2, 4)).tolist() == trie.allowed(ITEMS[0]).tolist() == []
    assert trie.item((1, 5, 6)) == 2


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "no item"),
        ([(1, 2), (1,)], "item 1 has 1 tokens; item 0 has 2"),
        ([(1, -2)], "token -2"),
        ([(1, 2), (3, 4), (1, 2)], r"items 0 and 2 have the same tokens \[1, 2\]"),
    ],
)
def test_a_catalogue_that_cannot_be_told_apart_is_refused(items: list[tuple[int, ...]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        PrefixTrie(items)


def test_tokens_of_no_item_have_no_place() -> None:
    with pytest.raises(DataError, match=r"\[2, 5, 6\]"):
        PrefixTrie(ITEMS).item((2, 5, 6))


def test_a_wide_search_ranks_the_whole_catalogue_by_probability() -> None:
    items = list(product((1, 2), (3, 4, 5), (6, 7, 8)))
    found = beam_search(by_hash, PrefixTrie(items), beam_width=len(items))
    expected = []
    for item in items:
        total = 0.0
        for depth, token in enumerate(item):
            row = np.exp(by_hash(np.array([(0, *item[:depth])], np.int32))[0])
            total += float(np.log(row[token] / row.sum()))
        expected.append(total)
    assert found.items.tolist() == np.argsort(expected)[::-1].tolist()
    np.testing.assert_allclose(found.scores, np.sort(expected)[::-1], rtol=1e-6)


def test_a_likely_token_that_no_item_continues_with_is_never_taken() -> None:
    logits = np.zeros(9)
    logits[3] = 100.0
    found = beam_search(fixed(logits), PrefixTrie(ITEMS), beam_width=9)
    assert sorted(found.items.tolist()) == [0, 1, 2, 3]


def test_equal_scores_keep_the_order_of_tokens_and_a_narrow_beam_cuts() -> None:
    assert beam_search(fixed(np.zeros(9)), PrefixTrie(ITEMS), beam_width=3).items.tolist() == [0, 1, 2]
    assert beam_search(fixed(np.zeros(9)), PrefixTrie(ITEMS), beam_width=1).items.tolist() == [0]


def test_a_beam_of_no_width_is_refused() -> None:
    with pytest.raises(InputError, match="beam_width is 0"):
        beam_search(fixed(np.zeros(9)), PrefixTrie(ITEMS), beam_width=0)


@pytest.mark.parametrize(
    ("logits", "message"),
    [(np.zeros(8), r"shape \(1, 8\); expected 1 beams by more than 8"), (np.full(9, np.nan), "NaN")],
)
def test_a_step_that_gives_no_logits_for_the_catalogue_is_caught(logits: Array, message: str) -> None:
    with pytest.raises(ExecutionError, match=message):
        beam_search(fixed(logits), PrefixTrie(ITEMS))


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
