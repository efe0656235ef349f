"""Bundles are sealed, read and verified: whichever byte changes, the file is named."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from pocketrec.errors import ArtifactError, UsageError
from pocketrec.package.bundle import read_bundle, verify_files
from pocketrec.package.manifest import EVIDENCE_MANIFEST, MANIFEST, SUMS, check_path, list_files, seal

FILES = {
    "contract.json": "{}",
    "artifacts/onnx/main.onnx": "onnx",
    "artifacts/coreml/main.mlpackage/Manifest.json": "{}",
    "artifacts/coreml/main.mlpackage/Data/model.mlmodel": "program",
    "evidence/evidence.json": '{"p50_ms": 1.0}',
    "evidence/report.md": "# report",
}
ARTIFACTS = {
    "onnx": {"main": "artifacts/onnx/main.onnx"},
    "coreml": {"main": "artifacts/coreml/main.mlpackage"},
}
EVERY = [*FILES, MANIFEST, EVIDENCE_MANIFEST, SUMS]


def make(folder: Path, **changed: str) -> Path:
    for name, text in (FILES | changed).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    seal(folder, name="example", version="1", artifacts=ARTIFACTS)
    return folder


def problems(folder: Path) -> list[str]:
    try:
        return list(verify_files(read_bundle(folder)))
    except ArtifactError as error:
        return [str(error)]


def rewrite_manifest(folder: Path, **changed: object) -> None:
    """Change manifest.json and every digest of it, as somebody would who means harm."""
    data = json.dumps(json.loads((folder / MANIFEST).read_text()) | changed).encode()
    (folder / MANIFEST).write_bytes(data)
    lines = "".join(
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in (EVIDENCE_MANIFEST, MANIFEST)
    )
    (folder / SUMS).write_text(f"{lines}# {hashlib.sha256(lines.encode()).hexdigest()}\n")


def test_a_sealed_bundle_has_no_problem(tmp_path: Path) -> None:
    bundle = read_bundle(make(tmp_path))
    assert verify_files(bundle) == ()
    assert sorted(list_files(tmp_path)) == sorted(EVERY)
    assert bundle.artifact("coreml", "main") == tmp_path / "artifacts/coreml/main.mlpackage"


@pytest.mark.parametrize("name", EVERY)
def test_one_flipped_bit_in_any_byte_names_the_file(tmp_path: Path, name: str) -> None:
    make(tmp_path)
    path = tmp_path / name
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        flipped = bytearray(whole)
        flipped[place] ^= 1
        path.write_bytes(flipped)
        (found,) = problems(tmp_path)
        assert found.startswith(f"{name}: altered"), place


@pytest.mark.parametrize("name", EVERY)
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    make(tmp_path)
    (tmp_path / name).unlink()
    (found,) = problems(tmp_path)
    assert found.startswith(f"{name}: missing")


@pytest.mark.parametrize("name", ["extra.txt", "evidence/extra.txt", "artifacts/onnx/.hidden"])
def test_a_surplus_file_is_named(tmp_path: Path, name: str) -> None:
    make(tmp_path)
    (tmp_path / name).write_text("")
    assert problems(tmp_path) == [f"{name}: surplus, no manifest lists it"]


def test_every_damaged_file_is_named(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "contract.json").write_text("[]")
    (tmp_path / "evidence/report.md").unlink()
    altered, missing = problems(tmp_path)
    assert altered.startswith("contract.json: altered")
    assert missing == "evidence/report.md: missing"


def test_a_bundle_is_read_by_a_link_to_its_folder_and_not_with_links_in_it(tmp_path: Path) -> None:
    """Such as `current`, which leads to the release of the day."""
    make(tmp_path / "bundle")
    (tmp_path / "current").symlink_to("bundle")
    assert problems(tmp_path / "current") == []
    (tmp_path / "bundle/evidence").rename(tmp_path / "elsewhere")
    (tmp_path / "bundle/evidence").symlink_to(tmp_path / "elsewhere")
    (found,) = problems(tmp_path / "bundle")
    assert found.startswith("evidence/manifest.json: missing in ")


def test_a_link_is_named(tmp_path: Path) -> None:
    make(tmp_path / "bundle")
    (tmp_path / "secret").write_text("onnx")
    path = tmp_path / "bundle/artifacts/onnx/main.onnx"
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    (found,) = problems(tmp_path / "bundle")
    assert found.startswith("artifacts/onnx/main.onnx: a link")


@pytest.mark.parametrize("name", ["bell\x07", "esc\x1b[31m", "c1\x9b", "half\udcff", "\u202etxt.exe"])
def test_a_file_whose_name_cannot_be_printed_is_named_in_letters_that_can(tmp_path: Path, name: str) -> None:
    make(tmp_path)
    (tmp_path / name).write_text("")
    (found,) = problems(tmp_path)
    assert found == f"{name!r}: a name that cannot be printed; a bundle holds plain names only"
    assert found.isprintable()


def test_the_tree_digest_leaves_the_evidence_out_and_nothing_else(tmp_path: Path) -> None:
    digests = [
        read_bundle(make(tmp_path / str(number), **changed)).manifest.tree_sha256
        for number, changed in enumerate(({}, {"evidence/report.md": "slower"}, {"contract.json": "[]"}))
    ]
    assert digests[0] == digests[1] != digests[2]
    assert (tmp_path / "0" / MANIFEST).read_bytes() == (tmp_path / "1" / MANIFEST).read_bytes()


def test_modes_are_canonical(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text("")
    (tmp_path / "run.sh").chmod(0o700)
    make(tmp_path)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()} == {0o644}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_dir()} == {0o755}


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a\\b", "C:/x", *"\n\x7f\x9b\u202e"]
)
def test_a_path_that_leaves_the_bundle_is_refused(path: str) -> None:
    with pytest.raises(ArtifactError, match="not a plain relative path"):
        check_path(path)


def test_a_hostile_manifest_cannot_reach_outside(tmp_path: Path) -> None:
    make(tmp_path)
    rewrite_manifest(tmp_path, files={"../outside": "0" * 64})
    (found,) = problems(tmp_path)
    assert "'../outside': not a plain relative path" in found


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"schema": 2}, "manifest.json: schema is 2; expected 1"),
        ({"filse": {}}, "manifest.json: filse is not a known key; did you mean 'files'?"),
        ({"files": []}, "manifest.json: files is []; expected a table"),
        ({"files": {}}, "manifest.json: manifest.json: tree_sha256 does not follow"),
        ({"name": "a\x1b[2Jb"}, "manifest.json: 'name' is 'a\\x1b[2Jb', which cannot be printed"),
        ({"version": "1\x07"}, "'version' is '1\\x07', which cannot be printed"),
        ({"artifacts": {"\x9b1m": {}}}, "which cannot be printed"),
        (
            {"artifacts": {"onnx": {"a\u202eb": "x"}}},
            "'artifacts.onnx.a\\u202eb' is 'a\\u202eb', which cannot",
        ),
        (
            {"artifacts": {"onnx": {"main": "gone.onnx"}}},
            "artifacts.onnx.main: gone.onnx is not among the files",
        ),
    ],
)
def test_a_manifest_is_read_strictly(tmp_path: Path, changed: dict[str, object], message: str) -> None:
    make(tmp_path)
    rewrite_manifest(tmp_path, **changed)
    (found,) = problems(tmp_path)
    assert message in found


@pytest.mark.parametrize("text", ["", "[", "[" * 100_000, '"text"', "\xff"])
def test_a_manifest_that_is_no_json_table_is_named(tmp_path: Path, text: str) -> None:
    make(tmp_path)
    rewrite_manifest(tmp_path)
    (tmp_path / MANIFEST).write_bytes(text.encode("latin-1"))
    lines = "".join(
        f"{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}  {name}\n"
        for name in (EVIDENCE_MANIFEST, MANIFEST)
    )
    (tmp_path / SUMS).write_text(f"{lines}# {hashlib.sha256(lines.encode()).hexdigest()}\n")
    (found,) = problems(tmp_path)
    assert found.startswith("manifest.json: ")


def test_unknown_names_list_the_known_ones(tmp_path: Path) -> None:
    bundle = read_bundle(make(tmp_path))
    with pytest.raises(UsageError, match="'tflite' is no target of the bundle; expected one of coreml, onnx"):
        bundle.artifact("tflite", "main")
    with pytest.raises(UsageError, match=r"'user' is no function of target 'onnx'.*one of main"):
        bundle.artifact("onnx", "user")
    with pytest.raises(ArtifactError, match=r"report.html: not in manifest.json"):
        bundle.file("report.html")


def test_no_folder_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        read_bundle(tmp_path / "nothing")
