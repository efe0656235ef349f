"""What the first release wrote still opens: a bundle, its recipe, and the folder of a search."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import pocketrec
from pocketrec.contract import Contract
from pocketrec.errors import ArtifactError
from pocketrec.package.bundle import read_bundle
from pocketrec.package.manifest import read_json
from pocketrec.pipeline.agreement import disagreements
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.pipeline.verify import verify

FIRST = Path(__file__).parent / "fixtures" / "first"


def test_a_bundle_of_the_first_release_still_verifies() -> None:
    found = verify(FIRST / "mean")
    assert found.problems == ()
    assert found.passed


def test_its_recipe_builds_and_goes_on_with_its_search(tmp_path: Path) -> None:
    for name in ("model.py", "items.txt", "recipe.toml"):
        shutil.copy(FIRST / name, tmp_path)
    shutil.copytree(FIRST / "mean.search", tmp_path / "mean.search")
    assert load_recipe(tmp_path / "recipe.toml").name == "mean"
    result = pocketrec.build(tmp_path / "recipe.toml", out=tmp_path / "mean", targets=("onnx",))
    assert result.passed
    assert verify(result.path).passed


@pytest.mark.parametrize(("name", "kind"), [("contract.json", Contract)])
def test_a_newer_format_is_one_clear_line(name: str, kind: type[Contract], tmp_path: Path) -> None:
    table = json.loads((FIRST / "mean" / name).read_text())
    (tmp_path / name).write_text(json.dumps({**table, "schema": 2}))
    with pytest.raises(ArtifactError, match=r"contract\.json: schema is 2; expected 1"):
        read_json(tmp_path, name, kind)


def test_newer_evidence_is_one_clear_line(tmp_path: Path) -> None:
    shutil.copytree(FIRST / "mean", tmp_path / "mean")
    place = tmp_path / "mean" / "evidence" / "evidence.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), "schema": 2}))
    bundle = read_bundle(tmp_path / "mean")
    contract = read_json(bundle.path, "contract.json", Contract)
    (said,) = disagreements(bundle, contract)
    assert said.startswith("evidence/evidence.json: its format is 2; this pocketrec reads 1")
