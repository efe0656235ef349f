"""The Swift package of a bundle: the same bytes for the same bundle, whole or not at all."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.package.swift.syntax import faults
from tests.package.swift.toys import MODEL, make_bundle
from tests.package.tapes import CONTRACTS
from tests.package.web.conftest import TITLES, toy_contract

from pocketrec.cli.main import main
from pocketrec.contract import Contract
from pocketrec.errors import ArtifactError, UsageError
from pocketrec.package import swift
from pocketrec.package.apps.methods import methods_of
from pocketrec.package.bundle import Bundle, read_bundle, verify_files
from pocketrec.package.swift.generate import Sources, as_block, as_comment, as_string, write_swift_package
from pocketrec.package.swift.names import OWN, TAKEN, names_of
from pocketrec.package.swift.types import ARGUMENTS, MEMBERS, answer_type, parameters

HOSTILE = 'a "quoted" \\(name) */ `x` 心 🎬\n#"""\\u{41}'
TREE = Path(swift.__file__).parent / "templates" / "package" / "Sources"


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make_bundle(tmp_path / "toy")


def files(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_the_same_bundle_gives_the_same_bytes(bundle: Bundle, tmp_path: Path) -> None:
    written = write_swift_package(bundle, tmp_path / "one")
    write_swift_package(bundle, tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert (written.module, written.type_name, written.methods) == ("ToyModel", "Toy", ("recommend",))
    assert written.target == "coreml"


def test_the_manifest_lists_every_file_of_the_model_with_its_digest(bundle: Bundle, tmp_path: Path) -> None:
    write_swift_package(bundle, tmp_path / "out", target="phone")
    model = files(tmp_path / "out" / "Sources" / "ToyModel" / "Resources" / "Model")
    manifest = json.loads(model.pop("manifest.json"))
    assert {name: each["sha256"] for name, each in manifest["files"].items()} == {
        name: sha256(data).hexdigest() for name, data in model.items()
    }
    assert manifest["target"] == "phone"
    assert manifest["functions"] == {"main": {"package": "main.mlpackage", "function": None}}
    assert manifest["vocabularies"]["item"]["index"] == "item.index"
    assert model["item.titles.txt"].decode().splitlines() == list(TITLES)
    assert f"main.mlpackage/{MODEL}" in model


def test_an_earlier_package_is_replaced(bundle: Bundle, tmp_path: Path) -> None:
    write_swift_package(bundle, tmp_path / "out")
    (tmp_path / "out" / "Package.swift").write_text("edited")
    write_swift_package(bundle, tmp_path / "out")
    assert (tmp_path / "out" / "Package.swift").read_text() != "edited"


def test_a_folder_with_anything_else_stays_as_it_is(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty and no package of this command; pass another --out"):
        write_swift_package(bundle, tmp_path / "out")
    assert files(tmp_path / "out") == {"mine.txt": b"mine"}


def test_a_target_that_is_not_there_names_those_that_are(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"is 'web'; expected a target of Core ML files, here 'coreml', 'phone'"
    ):
        write_swift_package(bundle, tmp_path / "out", target="web")


def test_an_altered_file_leaves_no_package(bundle: Bundle, tmp_path: Path) -> None:
    (bundle.path / "artifacts" / "coreml" / "main.mlpackage" / MODEL).write_text("other")
    with pytest.raises(ArtifactError, match=r"model.mlmodel: altered"):
        write_swift_package(bundle, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_functions_that_share_a_package_are_there_once(tmp_path: Path) -> None:
    main_function = toy_contract().functions["main"]
    contract = replace(toy_contract(), functions={"one": main_function, "two": main_function})
    made = make_bundle(tmp_path / "toy", contract=contract)
    shared = made.manifest.artifacts["coreml"]["one"]
    artifacts = {**made.manifest.artifacts, "coreml": {"one": shared, "two": shared}}
    made = replace(made, manifest=replace(made.manifest, artifacts=artifacts))
    write_swift_package(made, tmp_path / "out")
    model = tmp_path / "out" / "Sources" / "ToyModel" / "Resources" / "Model"
    assert json.loads((model / "manifest.json").read_text())["functions"] == {
        "one": {"package": "one.mlpackage", "function": "one"},
        "two": {"package": "one.mlpackage", "function": "two"},
    }


@pytest.mark.parametrize(
    ("version", "platforms", "said"),
    [
        (6, ("iOS 16.0", "macOS 13.0", "visionOS 1.0"), "iOS 16, macOS 13, tvOS 16, visionOS 1 and later"),
        (7, ("iOS 16.0", "macOS 13.0", "visionOS 1.0"), "iOS 16, macOS 13, tvOS 16, visionOS 1 and later"),
        (8, ("iOS 17.0", "macOS 14.0", "visionOS 1.0"), "iOS 17, macOS 14, tvOS 17, visionOS 1 and later"),
        (9, ("iOS 18.0", "macOS 15.0", "visionOS 2.0"), "iOS 18, macOS 15, tvOS 18, visionOS 2 and later"),
        (10, ("iOS 26.0", "macOS 26.0", "visionOS 26.0"), "iOS 26, macOS 26, tvOS 26, visionOS 26 and later"),
    ],
)
def test_the_platforms_are_those_that_open_the_model(
    version: int, platforms: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    made = make_bundle(tmp_path / "toy", start=bytes((8, version)))
    write_swift_package(made, tmp_path / "out")
    for name in ("Package.swift", "Package@swift-6.0.swift"):
        stated = re.findall(r'\.(iOS|macOS|visionOS)\("(.*?)"\)', (tmp_path / "out" / name).read_text())
        assert tuple(map(" ".join, stated)) == platforms
    assert said in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize("start", [b"", b"\x08", b"\x08\x00", b"\x08\x0b", b"\x12\x08"])
def test_a_program_of_no_known_version_leaves_no_package(start: bytes, tmp_path: Path) -> None:
    with pytest.raises(
        ArtifactError, match=r"main\.mlpackage: its program begins with .*; build the bundle again"
    ):
        write_swift_package(make_bundle(tmp_path / "toy", start=start), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_it_wrote(bundle: Bundle, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["package", "swift", str(bundle.path), "--json"])
    assert done.exit_code == 0
    said = json.loads(done.stdout)
    assert (said["module"], said["methods"]) == ("ToyModel", ["recommend"])
    assert Path(said["path"]) == bundle.path.with_name("toy-swift")
    shown = CliRunner().invoke(main, ["package", "swift", str(bundle.path), "--out", str(tmp_path / "out")])
    assert "swift    ToyModel 1.0.0, class Toy\n" in shown.stdout


def test_what_a_bundle_says_ends_no_string_and_no_comment() -> None:
    assert as_string('\\("x")\n心') == '"\\\\(\\"x\\")\\u{a}\\u{5fc3}"'
    assert as_block('a\\(b) """"') == 'a\\\\(b) ""\\""'
    assert as_comment("a\x00b\u2028c\n```") == "ab c \\`\\`\\`"


def test_hostile_names_stay_words(tmp_path: Path) -> None:
    history = replace(toy_contract().functions["main"].inputs[0], name="in")
    other = replace(history, name="Type", kind="dense", vocabulary=None, padding_side=None, shape=("batch",))
    scores = replace(toy_contract().functions["main"].outputs[0], unit=HOSTILE)
    signature = replace(
        toy_contract().functions["main"],
        inputs=(history, replace(other, out_of_vocabulary="forbid")),
        outputs=(scores,),
    )
    contract = replace(toy_contract(), functions={"func": signature})
    name = HOSTILE.replace("\n", " ")  # a line end is refused in a name
    write_swift_package(make_bundle(tmp_path / "toy", name=name, contract=contract), tmp_path / "out")
    source = next((tmp_path / "out" / "Sources").glob("*/*.swift")).read_text(encoding="utf-8")
    assert "        Type_: Int,\n" in source
    assert '"Type": Type_.asValue' in source
    assert "`in`" not in source  # the only sequence of items is `history`
    block = source.partition('contract = """\n')[2].partition('\n        """\n')[0]
    assert json.loads(re.sub(r"\\(.)", r"\1", block)) == contract.to_dict()
    assert all(each.isprintable() for each in source if each != "\n")


@pytest.mark.parametrize(
    ("name", "type_name"),
    [
        ("two-tower", "TwoTower"),
        ("String", "StringModel"),
        ("loader", "LoaderModel"),
        ("7", "Model7"),
        ("🎬", "Recommender"),
        ("MLModel", "MLModelModel"),
        ("text", "TextModel"),
        ("a" * 200, "A" + "a" * 79),
    ],
)
def test_a_bundles_name_is_a_type_that_nothing_else_is(name: str, type_name: str) -> None:
    found = names_of(name, toy_contract(), ())
    assert (found.type, found.module) == (type_name, f"{type_name}Model")


def test_the_types_of_the_sources_are_no_bundles() -> None:
    declared = set()
    for path in [*TREE.rglob("*.swift"), *TREE.rglob("*.j2")]:
        text = path.read_text(encoding="utf-8")
        declared |= set(
            re.findall(
                r"^(?:public |private |final )*(?:struct|class|enum|actor|protocol|typealias) (\w+)",
                text,
                re.M,
            )
        )
    assert declared - OWN == set()
    assert OWN - declared == set()


def test_what_the_sources_and_the_example_name_is_no_bundles_type() -> None:
    """A class of the name would stand in its place; but for what a type or a function declares for itself."""
    own = r"\b(?:actor|struct|class|enum|protocol|typealias|func|init) ?(\w*)(?:<([^>]*)>)?"
    inner, named = {"Element", "ID", "RawValue", "Wrapped", "RUSAGE_SELF"}, set()
    for path in [*TREE.rglob("*.swift*"), *(TREE.parent / "Example").rglob("*.swift*")]:
        text = re.sub(r"//.*|\"(?:\\.|[^\"\\])*\"|\{[{%].*?[}%]\}", "", path.read_text(encoding="utf-8"))
        named |= set(re.findall(r"(?<![.\w`])[A-Z]\w*", text))
        inner |= {
            each for declared in re.findall(own, text) for each in re.findall(r"\w+", " ".join(declared))
        }
    assert named - inner - TAKEN - {"Candidate", "Outputs", "Session"} == set()
    assert {"RecommenderApp", "RecommenderState", "RecommenderView"} <= TAKEN


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS.keys())
def test_every_argument_and_answer_of_every_role_has_a_type(contract: Contract) -> None:
    methods = methods_of(contract, members=MEMBERS, arguments=ARGUMENTS)
    names = names_of("toy", contract, methods)
    for method in methods:
        assert answer_type(method, names)
        for each in parameters(method, names):
            assert re.fullmatch(
                r"(\[*(String|Int|Double|Bool|Toy\.\w+Candidate)\]*\??)|some Sequence<String>", each.type
            )


def test_a_bundle_is_checked_and_neither_replaced_nor_written_into(bundle: Bundle, tmp_path: Path) -> None:
    write_swift_package(bundle, tmp_path / "out")
    inner = read_bundle(Path(shutil.copytree(bundle.path, tmp_path / "out" / "bundle")))
    with pytest.raises(UsageError, match="the bundle lies there, which the package would replace"):
        write_swift_package(inner, tmp_path / "out")
    with pytest.raises(UsageError, match="lies in the bundle"):
        write_swift_package(bundle, bundle.path / "swift")
    assert verify_files(inner) == verify_files(bundle) == ()
    contract = bundle.path / "contract.json"
    contract.write_text(contract.read_text().replace('"left"', '"right"'))
    with pytest.raises(ArtifactError, match=r"contract\.json: altered"):
        write_swift_package(bundle, tmp_path / "other")


def test_the_package_of_a_folder_without_a_name_stands_beside_it(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bundle.path)
    done = CliRunner().invoke(main, ["package", "swift", "."])
    assert done.exit_code == 0, done.output
    assert bundle.path.with_name("toy-swift").is_dir()
    assert verify_files(bundle) == ()


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS.keys())
def test_what_is_generated_of_every_role_is_swift(contract: Contract, tmp_path: Path) -> None:
    Sources.of("toy", "1", contract).write(tmp_path, model_bytes=1, indexes={})
    written = sorted(tmp_path.rglob("*.swift"))
    assert {"Package.swift", "Toy.swift", "RecommenderApp.swift"} <= {each.name for each in written}
    assert {each.name: faults(each.read_text(encoding="utf-8")) for each in written} == {
        each.name: [] for each in written
    }
