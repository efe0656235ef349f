"""`pocketrec search`: the same list from every runtime, and what was meant where nothing matches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import pocketrec
from pocketrec.cli.main import main

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "green", "pen", "chair", "##s")
TITLES = ("", "red pen", "green pen", "red chair", "green chair", "chair", "pen", "pens", "chairs")
MODEL = """
import numpy as np, torch
from torch import nn
from pocketrec.evaluation import RankingData

TITLES = torch.tensor([[0] * 9, *(
    [float(word in ids) for word in range(9)]
    for ids in ((4, 6), (5, 6), (4, 7), (5, 7), (7,), (6,), (6, 8), (7, 8))
)])

class Bags(nn.Module):
    def __init__(self):
        super().__init__()
        lengths = TITLES.sum(1, keepdim=True) + torch.arange(9.0)[:, None] / 40 + 1  # no ties
        self.register_buffer("titles", TITLES / lengths)
        self.register_buffer("words", torch.diag(1 + torch.arange(9.0) ** 2 / 50))

    def forward(self, asked):
        scores, rows = (self.words[asked.long()].sum(1) @ self.titles[1:].T).topk(4)
        return scores, rows.to(torch.int32) + 1

def data():
    rng = np.random.default_rng(0)
    return RankingData(
        inputs={"asked": rng.integers(4, 9, (16, 4)).astype(np.int32)}, positives=rng.integers(1, 9, 16)
    )
"""
RECIPE = """
schema = 1
name = "bags"
version = "1.0"
model = {factory = "model.py:Bags"}
[contract.dims]
batch = {max = 4}
words = {min = 2, max = 6}
[contract.vocabularies.word]
tokens = "words.txt"
padding_id = 0
unknown_id = 1
[contract.vocabularies.word.tokenizer]
kind = "wordpiece"
[contract.vocabularies.item]
tokens = "items.txt"
titles = "titles.txt"
padding_id = 0
[[contract.functions.search.inputs]]
name = "asked"
kind = "id_sequence"
shape = ["batch", "words"]
vocabulary = "word"
out_of_vocabulary = "unknown"
[[contract.functions.search.outputs]]
name = "top_k_scores"
meaning = "top_k_scores"
shape = ["batch", 4]
[[contract.functions.search.outputs]]
name = "top_k_ids"
meaning = "top_k_ids"
shape = ["batch", 4]
dtype = "int32"
vocabulary = "item"
[evaluate]
data = "model.py:data"
kind = "ranking"
function = "search"
output = "top_k_ids"
[latency]
warmup = 0
runs = 10
[targets.onnx]
[targets.coreml]
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    (folder / "model.py").write_text(MODEL)
    (folder / "recipe.toml").write_text(RECIPE)
    items = [f"item {number}" for number in range(len(TITLES))]
    for name, lines in (("words", WORDS), ("titles", TITLES), ("items", items)):
        (folder / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    built = pocketrec.build(folder / "recipe.toml", out=folder / "bags")
    assert built.passed
    return built.path


def search(bundle: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["search", str(bundle), *arguments])


def found(bundle: Path, *arguments: str) -> Any:
    run = search(bundle, *arguments, "--json")
    assert run.exit_code == 0, run.output
    return json.loads(run.stdout)


@pytest.mark.parametrize("target", ["onnx", "coreml"])
def test_every_target_lists_the_same_titles(bundle: Path, target: str) -> None:
    listed = found(bundle, "Green CHAIRS", "--target", target)
    assert [each["title"] for each in listed["items"]] == ["chairs", "green chair", "chair", "pens"]
    assert "unknown" not in listed
    fewer = found(bundle, "green chairs", "--target", target, "--k", "1", "--excluding", "chairs")
    assert [each["title"] for each in fewer["items"]] == ["green chair"]


def test_where_no_word_is_known_nothing_is_listed_and_like_titles_are_named(bundle: Path) -> None:
    listed = found(bundle, "grean pne")
    assert listed["items"] == []
    assert [each["given"] for each in listed["unknown"]] == ["grean", "pne"]
    assert [each["near"] for each in listed["unknown"]] == [[], []]
    whole = found(bundle, "chars")
    assert whole["unknown"] == [{"given": "chars", "near": ["chairs", "chair"]}]
    assert "did you mean 'chair" in search(bundle, "chars").stderr
    assert found(bundle, "chars pen")["items"], "one word that is known is searched for"


def test_of_a_long_text_the_first_words_are_looked_for_and_all_are_named(bundle: Path) -> None:
    """Each is compared with every title: a page of words that nobody knows would take minutes."""
    strange = [f"{number}\u65e5" for number in range(22)]
    listed = found(bundle, " ".join([*strange, strange[0], "charis", "chairz"]))["unknown"]
    assert [each["given"] for each in listed] == [*strange, "charis", "chairz"]
    assert [each["near"] for each in listed] == [[]] * 24
    listed = found(bundle, " ".join([strange[0]] * 30 + ["chairz"]))["unknown"]
    assert [each["near"] for each in listed] == [[], ["chair", "chairs"]]


def test_a_text_and_a_bundle_that_takes_one_are_asked_for(bundle: Path) -> None:
    empty = search(bundle, " ")
    assert (empty.exit_code, empty.stderr) == (2, "error: TEXT is empty; pass what is searched for\n")
    other = search(bundle, "pen", "--method", "recommend")
    assert other.exit_code == 2
    assert "--method is 'recommend'; expected one of search" in other.stderr
