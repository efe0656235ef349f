"""The package of a bundle: the same bytes for the same bundle, whole or not at all, whatever names say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.package.web.conftest import TITLES, make_bundle, toy_contract

from pocketrec.cli.main import main
from pocketrec.contract import Contract, Feature, Output, Signature
from pocketrec.errors import ArtifactError, UsageError
from pocketrec.package.apps.names import type_name
from pocketrec.package.bundle import Bundle, read_bundle, seal, verify_files
from pocketrec.package.web.generate import GENERATED, as_comment, as_json, write_web_package
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


@pytest.mark.parametrize(
    ("version", "npm"),
    [
        ("1.0.0-rc.1", "1.0.0-rc.1"),
        ("1.0.0-0a.b-c", "1.0.0-0a.b-c"),
        ("1.0.0-rc.01", "0.0.0-v-1-0-0-rc-01"),
        ("1.0.0-a..b", "0.0.0-v-1-0-0-a-b"),
        ("1.0.0-", "0.0.0-v-1-0-0"),
        ("01.0.0", "1.0.0"),
        ("1234567890123456.0.0", "0.0.0-v-1234567890123456-0-0"),
        ("1.0.0+5", "0.0.0-v-1-0-0-5"),
        ("٣.0.0", "0.0.0-v-0-0"),
        ("a" * 1000, f"0.0.0-v-{'a' * 100}"),
        ("1.0.0-" + "a" * 1000, f"0.0.0-v-1-0-0-{'a' * 94}"),
    ],
)
def test_no_version_is_one_that_npm_refuses(version: str, npm: str) -> None:
    """Semantic Versioning 2.0.0, 9: no part is empty, no number begins with a zero."""
    assert package_version(version) == npm


def test_what_a_bundle_says_ends_no_script_and_no_comment() -> None:
    assert as_json("</script>") == '"\\u003c/script\\u003e"'
    assert as_comment("a */ b\nc") == "a * / b c"


@pytest.mark.long
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


def test_a_package_neither_replaces_its_bundle_nor_lies_in_it(bundle: Bundle, tmp_path: Path) -> None:
    write_web_package(bundle, tmp_path / "out")
    inner = read_bundle(Path(shutil.copytree(bundle.path, tmp_path / "out" / "bundle")))
    with pytest.raises(UsageError, match="the bundle lies there, which the package would replace"):
        write_web_package(inner, tmp_path / "out")
    with pytest.raises(UsageError, match="lies in the bundle"):
        write_web_package(bundle, bundle.path / "web")
    assert verify_files(inner) == verify_files(bundle) == ()


@pytest.mark.parametrize("place", [".", "artifacts/.."])
def test_the_package_of_a_folder_without_a_name_stands_beside_it(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(bundle.path)
    done = CliRunner().invoke(main, ["package", "web", place])
    assert done.exit_code == 0, done.output
    assert (bundle.path.parent / "toy-web" / GENERATED).is_file()
    assert verify_files(bundle) == ()


@pytest.mark.parametrize("kind", ["nothing", "a folder", "a FIFO", "a device"])
@pytest.mark.parametrize("name", ["artifacts/web/main.onnx", "vocabularies/item.txt", "contract.json"])
def test_what_is_no_file_is_an_error_and_is_not_waited_for(
    bundle: Bundle, tmp_path: Path, name: str, kind: str
) -> None:
    path = bundle.path / name
    path.unlink()
    if kind == "a folder":
        path.mkdir()
    elif kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    said = "no such file" if kind == "nothing" else f"{kind}, expected a regular file"
    with pytest.raises(ArtifactError, match=f"{path.name}: {said}"):
        write_web_package(bundle, tmp_path / "out")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["toy"]


def test_vocabularies_that_do_not_fit_the_contract_leave_no_package(tmp_path: Path) -> None:
    contract = toy_contract()
    item = replace(contract.vocabularies["item"], size=9)
    made = make_bundle(tmp_path / "toy", contract=replace(contract, vocabularies={"item": item}))
    with pytest.raises(ArtifactError, match=r"item\.txt: 6 lines; contract\.json has 9 ids"):
        write_web_package(made, tmp_path / "out")


def test_a_target_without_a_function_and_two_files_of_one_name_leave_no_package(tmp_path: Path) -> None:
    """A page has one folder, so that one of them would run in place of the other."""
    contract = toy_contract()
    both = replace(contract, functions={**contract.functions, "other": contract.functions["main"]})
    made = make_bundle(tmp_path / "toy", contract=both, functions=("main",))
    with pytest.raises(ArtifactError, match=r"target web and contract\.json have other functions \(other\)"):
        write_web_package(made, tmp_path / "out")
    (made.path / "artifacts" / "web" / "other").mkdir()
    shutil.copy(made.path / "artifacts/web/main.onnx", made.path / "artifacts/web/other/main.onnx")
    artifacts = {"main": "artifacts/web/main.onnx", "other": "artifacts/web/other/main.onnx"}
    for name in ("manifest.json", "evidence/manifest.json", "manifest.sha256"):
        (made.path / name).unlink()
    seal(made.path, name="toy", version="1", artifacts={"web": artifacts})
    with pytest.raises(ArtifactError, match="another file of the target has its name"):
        write_web_package(read_bundle(made.path), tmp_path / "out")


def ranks(*names: str) -> Signature:
    """Films ranked by numbers of these names."""
    numbers = (Feature(name=each, kind="dense", dtype="float32", shape=("batch",)) for each in names)
    film = Feature(
        name="film", kind="id", shape=("batch",), vocabulary="constructor", out_of_vocabulary="padding"
    )
    score = Output(name="score", meaning="score", shape=("batch",))
    return Signature(inputs=(film, *numbers), outputs=(score,), items="constructor")


ODD_NAMES = (
    "k",
    "k_feature",
    "a_b",
    "aB",
    "signal",
    "constructor",
    "toString",
    "then",
    "delete",
    "arguments",
)


@pytest.mark.long
def test_no_name_of_a_contract_is_in_another_ones_way(tmp_path: Path, node_modules: Path) -> None:
    """What every object has, what the language says, what two names become: all of it compiles."""
    item = toy_contract().vocabularies["item"]
    contract = Contract(
        functions={
            "a": ranks(*ODD_NAMES, "candidates", "candidates_feature"),
            "a_candidate": ranks(*ODD_NAMES),
            "constructor": toy_contract().functions["main"],
        },
        dims=toy_contract().dims,
        vocabularies={"item": item, "constructor": item, "toString": item},
    )
    written = write_web_package(
        make_bundle(tmp_path / "toy", name="rank-a-candidate", contract=contract), tmp_path / "out"
    )
    assert written.methods == ("rankA", "rankACandidate", "recommend")
    assert written.type_name == "RankACandidateModel", "a type of candidates is called RankACandidate"
    (tmp_path / "out" / "node_modules").symlink_to(node_modules)
    compiler = ["npx", "--no-install", "tsc", "--noEmit"]
    done = subprocess.run(compiler, cwd=tmp_path / "out", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_no_class_is_called_what_its_module_holds(bundle: Bundle, tmp_path: Path) -> None:
    written = write_web_package(bundle, tmp_path / "out")
    module = (tmp_path / "out" / "src" / "index.ts").read_text(encoding="utf-8")
    code = re.sub(r'/\*\*.*?\*/|"[^"]*"', "", module, flags=re.DOTALL)
    own = {f"{written.type_name}{end}" for end in ("", "Session")} | {"RecommendArguments"}
    held = set(re.findall(r"\b[A-Z]\w*", code)) - own
    assert {"Item", "Promise", "Recommendations"} <= held
    assert {each for each in held if type_name(each, taken=TAKEN) == each} == set()
