"""A bundle is read by its manifest: what is not listed is not there, and names say what is."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketrec.errors import ArtifactError, UsageError
from pocketrec.package.bundle import (
    Bundle,
    is_bundle,
    read_bundle,
    read_contract,
    stated_type,
    verify_files,
)
from pocketrec.package.manifest import MANIFEST, seal

FILES = {
    "contract.json": "{}",
    "artifacts/onnx/main.onnx": "onnx",
    "artifacts/onnx/rank.onnx": "another",
    "evidence/evidence.json": "{}",
}
ARTIFACTS = {"onnx": {"main": "artifacts/onnx/main.onnx", "rank": "artifacts/onnx/rank.onnx"}}


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    seal(tmp_path, name="example", version="1", artifacts=ARTIFACTS)
    return read_bundle(tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_a_listed_file_is_found_evidence_among_them(bundle: Bundle, name: str) -> None:
    assert bundle.file(name).read_text() == FILES[name]


@pytest.mark.parametrize("name", ["surplus.txt", "../contract.json", "manifest.json", ""])
def test_what_no_manifest_lists_is_not_there(bundle: Bundle, name: str) -> None:
    (bundle.path / "surplus.txt").write_text("on disk all the same")
    with pytest.raises(ArtifactError, match=r"not in manifest\.json"):
        bundle.file(name)


def test_an_artifact_is_found_by_target_and_function(bundle: Bundle) -> None:
    assert bundle.artifact("onnx", "rank").read_text() == "another"


@pytest.mark.parametrize(
    ("target", "function", "message"),
    [
        ("coreml", "main", "'coreml' is no target of the bundle; expected one of onnx"),
        (
            "onnx",
            "search",
            "'search' is no function of .* expected one of main, rank",
        ),
    ],
)
def test_another_target_or_function_names_those_that_there_are(
    bundle: Bundle, target: str, function: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        bundle.artifact(target, function)


def test_a_folder_is_a_bundle_by_its_manifest_whatever_stands_in_it(bundle: Bundle, tmp_path: Path) -> None:
    (bundle.path / MANIFEST).write_text("damaged")
    assert is_bundle(bundle.path)
    assert not is_bundle(tmp_path / "artifacts")
    assert not is_bundle(bundle.path / MANIFEST)
    with pytest.raises(ArtifactError, match=r"manifest"):
        read_bundle(bundle.path)


def test_a_bundle_that_a_killed_build_left_aside_is_named(bundle: Bundle, tmp_path: Path) -> None:
    from pocketrec.package.publish import previous

    place = tmp_path / "out"
    with pytest.raises(UsageError, match="no such folder"):
        read_bundle(place)
    previous(place).mkdir()
    with pytest.raises(UsageError, match=f"rename {previous(place).name}"):
        read_bundle(place)


def test_every_change_of_a_file_is_one_sentence_in_order(bundle: Bundle) -> None:
    (bundle.path / "contract.json").write_text("{ }")
    (bundle.path / "evidence/evidence.json").unlink()
    (bundle.path / "a.txt").write_text("")
    kinds = [each.partition(",")[0] for each in verify_files(bundle)]
    assert kinds == ["a.txt: surplus", "contract.json: altered", "evidence/evidence.json: missing"]


@pytest.mark.parametrize("name", FILES)
def test_a_checked_file_is_what_its_manifest_says(bundle: Bundle, name: str) -> None:
    assert bundle.checked(name) == bundle.file(name)
    bundle.file(name).write_text("altered")
    with pytest.raises(ArtifactError, match=rf"{name}: altered, manifest\.json has another sha256"):
        bundle.checked(name)


def test_a_contract_that_was_edited_by_hand_is_not_read(bundle: Bundle) -> None:
    with pytest.raises(ArtifactError, match=r"contract\.json: functions is missing"):
        read_contract(bundle)
    (bundle.path / "contract.json").write_text('{"functions": {}}')
    with pytest.raises(ArtifactError, match=r"contract\.json: altered"):
        read_contract(bundle)


def sealed(folder: Path, recipe: str) -> Bundle:
    (folder / "recipe.json").write_text(recipe)
    seal(folder, name="example", version="1", artifacts=ARTIFACTS)
    return read_bundle(folder)


def test_the_class_of_packages_is_what_the_recipe_calls_it(bundle: Bundle) -> None:
    assert stated_type(bundle) == ""  # there is no recipe
    assert stated_type(sealed(bundle.path, '{"type_name": "FilmRecommender"}')) == "FilmRecommender"
    assert stated_type(sealed(bundle.path, "{}")) == ""


@pytest.mark.parametrize("stated", ['"film"', '"A b"', '"Ä"', "7", "null", '"A;}"'])
def test_what_can_be_no_class_is_refused(bundle: Bundle, stated: str) -> None:
    with pytest.raises(ArtifactError, match=r"recipe\.json: type_name is .*; expected a capital"):
        stated_type(sealed(bundle.path, f'{{"type_name": {stated}}}'))


def test_an_altered_recipe_names_no_class(bundle: Bundle) -> None:
    read = sealed(bundle.path, "{}")
    (bundle.path / "recipe.json").write_text('{"type_name": "Other"}')
    with pytest.raises(ArtifactError, match=r"recipe\.json: altered"):
        stated_type(read)
