"""A recipe without a contract has it drafted from an example; with both, the example gives probes."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pocketrec
from pocketrec.contract import Contract
from pocketrec.errors import DataError, PocketrecError, RecipeError
from pocketrec.pipeline.build import BuildResult
from pocketrec.pipeline.diverge import diverge_bundle
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.pipeline.sources import load_evaluation, load_source, read_example
from pocketrec.pipeline.verify import verify
from pocketrec.schema import from_table
from pocketrec.validate.measure.digest import data_sha256

ROWS = 40
MODEL = f"""
import numpy as np
import torch
from torch import nn
from pocketrec.evaluation import RankingData

class Scores(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.item = nn.Embedding({ROWS}, 8, padding_idx=0)

    def forward(self, history, age):
        return (self.item(history).mean(1) * age) @ self.item.weight.T

def make():
    return Scores()

class OfThree(Scores):
    def forward(self, history, age):
        return super().forward(history.view(3, 5), age)

def of_three():
    return OfThree()

def traced():
    return torch.jit.trace(Scores().eval(), (torch.ones(2, 5, dtype=torch.int64), torch.ones(2, 1)))

def data():
    rng = np.random.default_rng(0)
    return RankingData(
        inputs={{"history": rng.integers(1, {ROWS}, (24, 5)), "age": rng.random((24, 1))}},
        positives=rng.integers(1, {ROWS}, 24),
    )
"""
DRAFTED = """
schema = 1
name = "drafted"
version = "1.0"
[model]
factory = "model.py:make"
example = "in.npz"
[evaluate]
data = "model.py:data"
kind = "ranking"
output = "output"
[latency]
warmup = 0
runs = 10
[targets.onnx]
"""
CONTRACT = f"""
[contract.dims.users]
max = 8
[contract.vocabularies.item]
tokens = "items.txt"
padding_id = 0
[[contract.functions.main.inputs]]
name = "history"
kind = "id_sequence"
shape = ["users", 5]
vocabulary = "item"
[[contract.functions.main.inputs]]
name = "age"
kind = "dense"
shape = ["users", 1]
[[contract.functions.main.outputs]]
name = "output"
meaning = "score"
shape = ["users", {ROWS}]
vocabulary = "item"
"""


def write(folder: Path, more: str = "", **arrays: Any) -> Path:
    (folder / "model.py").write_text(MODEL)
    (folder / "items.txt").write_text("".join(f"{number}\n" for number in range(ROWS)))
    (folder / "recipe.toml").write_text(DRAFTED + more)
    rng = np.random.default_rng(1)
    inputs = {"history": rng.integers(1, ROWS, (3, 5)), "age": rng.random((3, 1)).astype(np.float32)}
    np.savez(folder / "in.npz", **{**inputs, **arrays})
    return folder / "recipe.toml"


def load(recipe: Path) -> Any:
    return load_source(load_recipe(recipe), recipe.parent)


@pytest.mark.parametrize("more", ["", CONTRACT], ids=["drafted", "stated"])
def test_an_evaluation_alone_is_that_of_the_whole_recipe(more: str, tmp_path: Path) -> None:
    recipe = write(tmp_path, more)
    contract, (asked,) = load_evaluation(load_recipe(recipe), tmp_path)
    whole = load(recipe)
    assert contract == whole.model.contract
    assert data_sha256(asked.data) == data_sha256(whole.asked[0].data)


def test_no_model_is_loaded_for_the_evaluation_of_a_recipe_that_states_its_contract(tmp_path: Path) -> None:
    recipe = write(tmp_path, CONTRACT)
    (tmp_path / "model.py").write_text(MODEL.replace("return Scores()", "raise AssertionError"))
    assert len(load_evaluation(load_recipe(recipe), tmp_path)[1][0].data) == 24
    with pytest.raises(RecipeError):
        load(recipe)


def test_data_that_contradict_the_contract_are_refused_without_a_model_too(tmp_path: Path) -> None:
    recipe = write(tmp_path, CONTRACT)
    (tmp_path / "model.py").write_text(MODEL.replace(f"(1, {ROWS}, (24, 5))", "(50, 60, (24, 5))"))
    with pytest.raises(DataError, match="among the 40 of vocabulary 'item'"):
        load_evaluation(load_recipe(recipe), tmp_path)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BuildResult]:
    recipe = write(tmp_path_factory.mktemp("drafted"))
    return recipe, pocketrec.build(recipe, out=recipe.parent / "out")


def test_the_bundle_holds_the_draft_and_its_evidence_says_what_it_was_drafted_from(
    built: tuple[Path, BuildResult],
) -> None:
    _, result = built
    assert result.passed
    contract = from_table(
        Contract, json.loads((result.path / "contract.json").read_text()), source="contract.json"
    )
    assert contract.vocabularies["history"].size == ROWS
    assert [each.name for each in contract.functions["main"].inputs] == ["history", "age"]
    assert result.evidence.contract_sha256 == contract.sha256()
    evidence = json.loads((result.path / "evidence" / "evidence.json").read_text())
    (note,) = [each for each in evidence["notes"] if "drafted" in each]
    assert note.startswith("The contract was drafted from model.example = 'in.npz'")


def test_the_ranking_of_a_drafted_build_is_that_of_the_evaluation_data(
    built: tuple[Path, BuildResult],
) -> None:
    (reference, onnx) = [each.ranking for each in built[1].evidence.results]
    assert reference is not None
    assert onnx is not None
    assert onnx.examples == 24
    assert onnx.artifact == reference.artifact


def test_a_drafted_bundle_verifies_and_diverges_from_its_recipe_nowhere(
    built: tuple[Path, BuildResult],
) -> None:
    recipe, result = built
    assert verify(result.path).passed
    (examined,) = diverge_bundle(result.path, recipe)
    assert examined.comparison.divergence is None


def test_a_search_plans_a_drafted_model_by_the_users_own_names(tmp_path: Path) -> None:
    recipe = write(tmp_path, "[compress]\nmax_ratio = 0.6\ntime_limit_s = 5\n")
    result = pocketrec.build(recipe, out=tmp_path / "out")
    assert [each.name for each in result.evidence.compression] == ["item.weight"]
    assert result.evidence.compression[0].bits < 32 * 0.6


def test_a_saved_module_builds_from_its_example(tmp_path: Path) -> None:
    recipe = write(tmp_path)
    from pocketrec.source.factory import call_factory

    call_factory("model.py:traced", base=tmp_path, key="", arguments={}).save(str(tmp_path / "m.pt"))
    recipe.write_text(DRAFTED.replace("model.py:make", "m.pt"))
    loaded = load(recipe)
    assert [each.name for each in loaded.model.contract.functions["main"].inputs] == ["history", "age"]


def test_a_stated_contract_is_bound_and_the_example_adds_probes_near_it_and_far(tmp_path: Path) -> None:
    recipe = write(tmp_path, CONTRACT)
    trial = next(iter(load(recipe).trials))
    assert list(trial.model.contract.dims) == ["users"]
    names = [each.name for each in trial.probes["main"]]
    assert names[0] == "example"
    assert {"real row 0", "last id", "rows permuted"} <= set(names)
    np.testing.assert_array_equal(
        trial.probes["main"][0].inputs["history"], np.load(tmp_path / "in.npz")["history"]
    )
    assert {each.probe.name for each in trial.far["main"].probes} >= {"first ids", "a hundred times"}
    assert not [each for each in trial.model.core.notes if "drafted" in each]


def hostile(folder: Path) -> None:
    """A header that promises 4 TB."""
    with zipfile.ZipFile(folder / "in.npz", "w") as archive:
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1048576, 1048576), }".ljust(117) + b"\n"
        archive.writestr("age.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)


def array_alone(folder: Path) -> None:
    with (folder / "in.npz").open("wb") as file:
        np.save(file, np.zeros(3))


def not_there(folder: Path) -> None:
    (folder / "in.npz").unlink()


def empty(folder: Path) -> None:
    np.savez(folder / "in.npz")


@pytest.mark.parametrize("contract", ["", CONTRACT], ids=["drafted", "stated"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (not_there, "no such file"),
        (hostile, "age.npy is float32 [1048576, 1048576], but has 0 bytes"),
        (array_alone, "not an .npz of plain arrays"),
        (lambda folder: write(folder, age=np.full((3, 1), np.nan, np.float32)), "gives NaN for its example"),
        (lambda folder: write(folder, age=np.array([["a"]] * 3)), "age"),
    ],
)
def test_an_example_that_cannot_be_used_is_one_line_that_names_it(
    contract: str, spoil: Any, message: str, tmp_path: Path
) -> None:
    recipe = write(tmp_path, contract)
    spoil(tmp_path)
    recipe.write_text(DRAFTED + contract)
    with pytest.raises(RecipeError) as caught:
        next(iter(load(recipe).trials))
    assert str(caught.value).startswith("model.example = 'in.npz': ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("contract", "arrays", "message"),
    [
        ("", {"histroy": np.ones((3, 5), int)}, "the example has 'histroy'; forward takes history, age"),
        (CONTRACT, {"histroy": np.ones((3, 5), int)}, "'histroy' is no input of the contract; expected age"),
        (CONTRACT, {"history": np.ones((3, 4), int)}, "input 'history' has shape (3, 4)"),
        (CONTRACT, {"history": np.full((3, 5), 1 << 40)}, "history holds 1099511627776, which int32 cannot"),
    ],
)
def test_arrays_that_the_model_or_the_contract_does_not_take_are_named(
    contract: str, arrays: dict[str, Any], message: str, tmp_path: Path
) -> None:
    recipe = write(tmp_path, contract, **arrays)
    with pytest.raises(RecipeError) as caught:
        next(iter(load(recipe).trials))
    assert message in str(caught.value)


def test_what_is_evaluated_and_what_stays_free_must_be_in_the_draft(tmp_path: Path) -> None:
    recipe = write(tmp_path)
    recipe.write_text(DRAFTED.replace('output = "output"', 'output = "scores"'))
    with pytest.raises(RecipeError, match="output 'scores' of function 'main'; expected one of output"):
        load(recipe)
    recipe.write_text(f"{DRAFTED}flexible = ['rows']\n")
    with pytest.raises(RecipeError, match="'rows' is no dim of the contract; known: batch"):
        load(recipe)


def test_a_draft_whose_batch_is_fixed_does_not_take_evaluation_data(tmp_path: Path) -> None:
    recipe = write(tmp_path)
    recipe.write_text(DRAFTED.replace("make", "of_three"))
    with pytest.raises(RecipeError, match=r"the batch is fixed at 3: .*; state a \[contract\]"):
        load(recipe)


def test_numbered_arrays_are_arguments_in_their_order(tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", *[np.full(1, number) for number in range(11)])
    assert [int(each) for each in read_example(tmp_path / "in.npz")] == list(range(11))
    empty(tmp_path)
    with pytest.raises(PocketrecError, match="there is no array in it"):
        read_example(tmp_path / "in.npz")
