"""Two bundles meet over the users of a recipe, with the lists that each one's own artifacts give."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from tests.mean import MODEL, RECIPE, write_mean

import pocketrec
from pocketrec.cli.main import main
from pocketrec.contract import Contract
from pocketrec.errors import ArtifactError, UsageError
from pocketrec.evaluation import RankingData
from pocketrec.package.bundle import read_bundle, read_contract
from pocketrec.pipeline.duels import Terms, check_comparable, duel_bundles, lists_of
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.pipeline.sources import load_source
from pocketrec.validate.experiments.duel import Taste

# The model whose first item is each user's held-out one, so that its lists are right.
KNOWING = MODEL.replace("positives=rng.integers(1, 30, 24)", "positives=best(rng)").replace(
    "def data():",
    """def best(rng):
    import torch
    history = np.random.default_rng(0).integers(1, 30, (24, 5)).astype(np.int32)
    scores = Mean()(torch.from_numpy(history).long())
    scores[:, 0] = -1e9
    return scores.argmax(1).numpy()

def data():""",
)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The bundle that knows what users want, one of other weights, and the first one's recipe."""
    built = []
    for seed in (0, 1):
        folder = tmp_path_factory.mktemp(f"seed{seed}")
        model = KNOWING.replace("manual_seed(0)", f"manual_seed({seed})")
        recipe = write_mean(folder, "[targets.onnx]", model=model)
        built.append((pocketrec.build(recipe, out=folder / "mean").path, recipe))
    return built[0][0], built[1][0], built[0][1]


@pytest.mark.parametrize("method", ["team-draft", "optimized"])
def test_the_bundle_that_knows_what_users_want_is_preferred(
    bundles: tuple[Path, Path, Path], method: str
) -> None:
    knowing, other, recipe = bundles
    terms = Terms(method=method, taste=Taste(relevant=1, other=0), k=5)
    found = duel_bundles(knowing, other, recipe, terms)
    assert (found.users, found.second) == (24, 0)
    assert found.low > 0
    assert found == duel_bundles(knowing, other, recipe, terms)
    assert duel_bundles(other, knowing, recipe, terms).high < 0


def test_of_several_evaluations_the_named_one_is_taken(bundles: tuple[Path, Path, Path]) -> None:
    knowing, other, recipe = bundles
    text = recipe.read_text()
    both = recipe.with_name("both.toml")
    stated = text[text.index("[evaluate]") :].partition("\n[")[0]
    second = stated.replace("[evaluate]", '[[evaluate]]\nname = "again"')
    both.write_text(text.replace(stated, f"[{stated.replace(']', ']]', 1)}\n{second}\n"))
    terms = Terms(taste=Taste(relevant=1, other=0), k=5)
    assert [each.called for each in load_recipe(both).evaluate] == ["scores", "again"]
    for name in (None, "scores", "again"):
        assert duel_bundles(knowing, other, both, replace(terms, evaluate=name)).users == 24
    with pytest.raises(UsageError, match="'buy' is none of its evaluations; expected one of scores, again"):
        duel_bundles(knowing, other, both, replace(terms, evaluate="buy"))


def test_lists_are_those_that_the_bundle_recommends(bundles: tuple[Path, Path, Path]) -> None:
    knowing, _, recipe = bundles
    loaded = load_source(load_recipe(recipe), recipe.parent)
    (asked,) = loaded.asked
    data = next(iter(asked.data.parts(24)))
    assert isinstance(data, RankingData)
    bundle = read_bundle(knowing)
    lists = lists_of(bundle, read_contract(bundle), replace(asked.evaluate, k=3), data, None)
    with pocketrec.load(knowing) as model:
        for user, history in enumerate(np.asarray(data.inputs["history"])[:4]):
            found = model.recommend(history=[f"item {each}" for each in history], k=3)
            assert [each.id for each in found] == lists[user].tolist()
    assert lists[:, 0].tolist() == data.positives.tolist()


def test_users_are_counted_from_the_first(bundles: tuple[Path, Path, Path]) -> None:
    knowing, other, recipe = bundles
    assert duel_bundles(knowing, other, recipe, Terms(users=7)).users == 7


def test_the_command_says_who_is_preferred(bundles: tuple[Path, Path, Path]) -> None:
    knowing, other, recipe = bundles
    words = ["experiment", "interleave", str(knowing), str(other), "--recipe", str(recipe), "--other", "0"]
    done = CliRunner().invoke(main, words, catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    assert "24 simulated users, 0 of them with equal lists" in done.stdout
    assert f"{knowing} is preferred: credit +0." in done.stdout
    found = json.loads(CliRunner().invoke(main, [*words, "--json"], catch_exceptions=False).stdout)
    assert found["first"] > found["second"]
    assert found["terms"]["taste"] == {"relevant": 0.9, "other": 0.0}
    equal = [*words[:3], str(knowing), *words[4:], "--method", "optimized"]
    same = CliRunner().invoke(main, equal, catch_exceptions=False)
    assert "24 of them with equal lists" in same.stdout
    assert "no preference: credit +0 " in same.stdout


def changed(contract: Contract, **changes: Any) -> Contract:
    item = replace(contract.vocabularies["item"], **changes)
    return replace(contract, vocabularies={"item": item})


def test_bundles_of_other_items_inputs_or_functions_are_not_comparable(
    bundles: tuple[Path, Path, Path],
) -> None:
    contract = read_contract(read_bundle(bundles[0]))
    (evaluate,) = load_recipe(bundles[2]).evaluate

    def compared(other: Contract) -> None:
        check_comparable({"the recipe": contract, "old": contract, "new": other}, evaluate)

    compared(contract)
    with pytest.raises(
        UsageError, match="vocabulary item: the recipe and new have other tokens, so an id is"
    ):
        compared(changed(contract, sha256="0" * 64))
    main_ = contract.functions["main"]
    longer = replace(main_, inputs=(replace(main_.inputs[0], shape=("batch", 6)),))
    with pytest.raises(
        UsageError, match="function main: the recipe and new take other inputs; not comparable"
    ):
        compared(replace(contract, functions={"main": longer}))
    with pytest.raises(
        UsageError, match="new has no function 'main', which the recipe evaluates; it has other"
    ):
        compared(replace(contract, functions={"other": main_}))


def test_a_recipe_of_other_items_is_told(bundles: tuple[Path, Path, Path], tmp_path: Path) -> None:
    recipe = write_mean(tmp_path)
    (tmp_path / "items.txt").write_text("".join(f"other {number}\n" for number in range(30)))
    with pytest.raises(
        UsageError, match=re.escape(f"vocabulary item: the recipe and {bundles[0]} have other")
    ):
        duel_bundles(bundles[0], bundles[1], recipe, Terms())


def test_a_bundle_whose_artifact_is_altered_does_not_meet(
    bundles: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    import shutil

    altered = shutil.copytree(bundles[1], tmp_path / "altered")
    with (altered / "artifacts/onnx/main.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ArtifactError, match=r"artifacts/onnx/main\.onnx: altered"):
        duel_bundles(bundles[0], altered, bundles[2], Terms())


def test_a_recipe_that_ranks_nothing_is_told(bundles: tuple[Path, Path, Path], tmp_path: Path) -> None:
    model = MODEL.replace("RankingData(", "ClassificationData(").replace(
        "positives=rng.integers(1, 30, 24)", "labels=rng.integers(0, 2, 24).astype(np.float32)"
    )
    model = model.replace("import RankingData", "import ClassificationData")
    text = RECIPE.replace('kind = "ranking"', 'kind = "classification"').replace(
        'meaning = "score"', 'meaning = "logit"'
    )
    recipe = write_mean(tmp_path, model=model, recipe=text)
    with pytest.raises(
        UsageError, match=re.escape("evaluate.kind is 'classification'; lists come of 'ranking'")
    ):
        duel_bundles(bundles[0], bundles[1], recipe, Terms())


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"method": "coin"}, "method is 'coin'; expected one of team-draft, optimized"),
        ({"clicks": "coin"}, "clicks is 'coin'; expected one of position, cascade"),
        ({"k": 0}, "k is 0; expected 1 to 1000 for the method team-draft"),
        ({"k": 13, "method": "optimized"}, "k is 13; expected 1 to 12 for the method optimized"),
        ({"seed": -1}, "seed is -1; expected 0 or more"),
        ({"users": 0}, "users is 0; expected 1 or more"),
        ({"confidence": 95}, "confidence is 95; expected a share, such as 0.95"),
    ],
)
def test_terms_that_are_none_are_told(terms: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Terms(**terms)
