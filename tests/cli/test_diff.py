"""`pocketrec diff`: two releases of the first release's bundle, altered as a retraining alters one."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from tests.cli.conftest import Run

from pocketrec.package.bundle import read_bundle, seal

RECIPE = Path(__file__).parents[1] / "fixtures" / "first" / "recipe.toml"
FIRST = Path(__file__).parents[1] / "fixtures" / "first" / "mean"
Alter = Callable[[Sequence[str]], Sequence[str]]


def move_rows(path: Path) -> None:
    """Gives every item the codes of the one before it."""
    model = onnx.load(path)
    (codes,) = [each for each in model.graph.initializer if each.name == "item.weight/codes0"]
    moved = np.roll(numpy_helper.to_array(codes), 1, axis=0)
    codes.CopyFrom(numpy_helper.from_array(moved, codes.name))
    onnx.save(model, path)


@pytest.fixture
def released(tmp_path: Path) -> Callable[..., Path]:
    """The first release with its words altered, under a version of its own."""

    def release(version: str, alter: Alter = lambda words: words, *, retrained: bool = False) -> Path:
        place = shutil.copytree(FIRST, tmp_path / version)
        if retrained:
            move_rows(place / "artifacts" / "onnx" / "main.onnx")
        words = place / "vocabularies" / "item.txt"
        text = "".join(f"{each}\n" for each in alter(words.read_text().splitlines()))
        words.write_text(text)
        contract = json.loads((place / "contract.json").read_text())
        contract["vocabularies"]["item"]["sha256"] = hashlib.sha256(text.encode()).hexdigest()
        (place / "contract.json").write_text(json.dumps(contract))
        artifacts = read_bundle(FIRST).manifest.artifacts
        seal(place, name="mean", version=version, artifacts=artifacts)
        return place

    return release


def test_a_reordered_vocabulary_breaks_and_exits_with_1(
    pocketrec: Run, released: Callable[..., Path]
) -> None:
    def swapped(words: Sequence[str]) -> Sequence[str]:
        return [*words[:2], words[3], words[2], *words[4:]]

    done = pocketrec("diff", released("1.0.0"), released("1.1.0", swapped))
    assert done.returncode == 1
    assert "breaking  vocabulary item  2 moved" in done.stdout
    assert "ids that an app has stored mean other items" in done.stdout
    assert done.stderr.endswith(
        "failed: a major version is due: 2.0.0, and it is 1.1.0; set version = '2.0.0' in the recipe\n"
    )
    assert pocketrec("diff", released("1.0.1"), released("2.0.0", swapped)).returncode == 0


def test_the_same_model_under_the_next_version_passes(pocketrec: Run, released: Callable[..., Path]) -> None:
    done = pocketrec("diff", released("1.0.0"), released("1.0.1"), "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert (found["passed"], found["level"], found["changes"]) == (True, "same", [])
    assert [each["old_bytes"] == each["new_bytes"] for each in found["sizes"]] == [True] * len(found["sizes"])


def test_rankings_are_compared_on_the_recipes_data(pocketrec: Run, released: Callable[..., Path]) -> None:
    old, new = released("1.0.0"), released("1.0.1")
    done = pocketrec("diff", old, new, "--recipe", RECIPE, "--json")
    found = json.loads(done.stdout)["ranking"]
    assert (found["reason"], found["target"]) == ("", "onnx")
    (ndcg,) = [each for each in found["quality"]["changes"] if each["metric"].startswith("ndcg@")]
    assert ndcg["before"] == ndcg["after"]
    assert [(each["low"], each["high"]) for each in ndcg["intervals"]] == [(0.0, 0.0)]
    assert [each["churn"] for each in found["quality"]["lists"]] == [0.0]
    assert found["worst"] == []


def test_other_weights_move_lists_and_the_worst_are_shown(
    pocketrec: Run, released: Callable[..., Path]
) -> None:
    old, new = released("1.0.0"), released("1.0.1", retrained=True)
    found = json.loads(pocketrec("diff", old, new, "--recipe", RECIPE, "--json").stdout)["ranking"]
    shares = [each["overlap"] for each in found["worst"]]
    assert shares == sorted(shares)
    for each in found["worst"]:
        kept = len(set(each["before"]) & set(each["after"]))
        assert each["overlap"] == kept / len(each["before"]) < 1
    shown = pocketrec("diff", old, new, "--recipe", RECIPE).stdout
    assert f"user {found['worst'][0]['row']}   {shares[0]:.0%} kept, after" in shown


def test_lists_of_other_ids_are_never_compared(pocketrec: Run, released: Callable[..., Path]) -> None:
    def swapped(words: Sequence[str]) -> Sequence[str]:
        return [*words[:2], words[3], words[2], *words[4:]]

    done = pocketrec("diff", released("1.0.0"), released("2.0.0", swapped), "--recipe", RECIPE)
    assert "ranking  not comparable: vocabulary item: 2 moved" in done.stdout
    assert "metric" not in done.stdout


def test_a_target_that_only_one_has_is_one_line(pocketrec: Run, released: Callable[..., Path]) -> None:
    old, new = released("1.0.0"), released("1.0.1")
    done = pocketrec("diff", old, new, "--recipe", RECIPE, "--target", "web")
    assert done.returncode == 2
    assert "'web' is no target of both; expected one of" in done.stderr
    alone = pocketrec("diff", old, new, "--target", "onnx")
    assert "pass --recipe, too" in alone.stderr


def test_a_damaged_bundle_is_compared_with_nothing(pocketrec: Run, released: Callable[..., Path]) -> None:
    old, new = released("1.0.0"), released("1.0.1")
    words = new / "vocabularies" / "item.txt"
    words.write_text(words.read_text() + "more\n")
    done = pocketrec("diff", old, new)
    assert done.returncode == 1
    assert "vocabularies/item.txt: altered" in done.stderr
    assert "version" not in done.stdout


def test_what_is_no_bundle_is_one_line(pocketrec: Run, released: Callable[..., Path], tmp_path: Path) -> None:
    done = pocketrec("diff", released("1.0.0"), tmp_path / "nowhere")
    assert done.returncode == 2
    assert "nowhere: no such folder; pass the path of a bundle" in done.stderr
