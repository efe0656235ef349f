"""The package of a bundle: the same bytes for the same bundle, whole or not at all, whatever names say."""

from __future__ import annotations

import json
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from tests.package.web.conftest import TITLES, make_bundle, toy_contract

from pocketrec.errors import ArtifactError, UsageError
from pocketrec.package.apps.names import type_name
from pocketrec.package.bundle import Bundle
from pocketrec.package.web.generate import as_comment, as_json, write_web_package
from pocketrec.package.web.names import TAKEN, package_name, package_version


def files(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_the_same_bundle_gives_the_same_bytes(bundle: Bundle, tmp_path: Path) -> None:
    written = write_web_package(bundle, tmp_path / "one")
    write_web_package(bundle, tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert (written.name, written.type_name, written.methods) == ("toy", "Toy", ("recommend",))


def test_the_manifest_lists_every_file_of_the_model_with_its_digest(bundle: Bundle, tmp_path: Path) -> None:
    write_web_package(bundle, tmp_path / "out")
    model = files(tmp_path / "out" / "model")
    listed = json.loads(model.pop("manifest.json"))["files"]
    assert {name: each["sha256"] for name, each in listed.items()} == {
        name: sha256(data).hexdigest() for name, data in model.items()
    }
    assert model["item.titles.txt"].decode().splitlines() == list(TITLES)


def test_an_earlier_package_is_replaced(bundle: Bundle, tmp_path: Path) -> None:
    write_web_package(bundle, tmp_path / "out")
    (tmp_path / "out" / "README.md").write_text("edited")
    write_web_package(bundle, tmp_path / "out")
    assert (tmp_path / "out" / "README.md").read_text() != "edited"


def test_a_folder_with_anything_else_stays_as_it_is(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty and no package of this command; pass another --out"):
        write_web_package(bundle, tmp_path / "out")
    assert files(tmp_path / "out") == {"mine.txt": b"mine"}


def test_a_target_that_is_not_there_names_those_that_are(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is 'coreml'; expected a target of ONNX files, here 'web'"):
        write_web_package(bundle, tmp_path / "out", target="coreml")


def test_an_altered_file_leaves_no_package(bundle: Bundle, tmp_path: Path) -> None:
    path = bundle.path / "artifacts" / "web" / "main.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(ArtifactError, match=r"main.onnx: altered"):
        write_web_package(bundle, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "npm", "written"),
    [
        ("two-tower", "two-tower", "TwoTower"),
        ("Ünï", "uni", "Uni"),
        ("7", "7", "Model7"),
        ("map", "map", "MapModel"),
    ],
)
def test_a_bundle_name_is_a_package_and_a_class(name: str, npm: str, written: str) -> None:
    assert (package_name(name), type_name(name, taken=TAKEN)) == (npm, written)


def test_a_version_is_three_numbers() -> None:
    assert [package_version(each) for each in ("2", "1.2.3", "x y")] == ["2.0.0", "1.2.3", "0.0.0-v-x-y"]


def test_what_a_bundle_says_ends_no_script_and_no_comment() -> None:
    assert as_json("</script>") == '"\\u003c/script\\u003e"'
    assert as_comment("a */ b\nc") == "a * / b c"


def test_the_package_compiles_and_lints(compiled: Path) -> None:
    done = subprocess.run(
        ["npx", "--no-install", "eslint", "."], cwd=compiled, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_an_argument_named_as_a_word_of_the_language_is_one_name(tmp_path: Path) -> None:
    made = make_bundle(tmp_path / "toy", name="function", contract=toy_contract("delete"))
    write_web_package(made, tmp_path / "out")
    assert "readonly history: readonly string[];" in (tmp_path / "out" / "src" / "index.ts").read_text()


def test_the_tests_of_the_package_pass(compiled: Path) -> None:
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap"], cwd=compiled, capture_output=True, text=True
    )
    passed = [line for line in done.stdout.splitlines() if line.startswith("# pass ")]
    assert done.returncode == 0, done.stdout
    assert int(passed[0].split()[-1]) > 20
