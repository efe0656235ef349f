"""A bundle's evidence tells where tensors came from; what is damaged is one line that names the file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pocketrec.errors import ArtifactError
from pocketrec.origin import LARGEST, Carried, Origin, Told
from pocketrec.package.bundle import Bundle, read_bundle, seal
from pocketrec.package.origins import ORIGINS, bundled_origins, read_origins, write_origins
from pocketrec.package.parts import left_out

TOLD = Told(
    origins={"t0": Origin(module="head", source="net.py:7", op="addmm", ordinal=1, count=2)},
    carried={"head.weight": Carried(method="linear 8 bit", shape=(3, 4), size_bytes=24)},
)
PLACE = "artifacts/onnx/main.onnx"


def make(folder: Path, *, told: bool = True) -> Bundle:
    for name in (PLACE, "artifacts/web/main.onnx"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(b"onnx")
    (folder / "evidence").mkdir()
    (folder / "evidence/evidence.json").write_text("{}")
    if told:
        write_origins(folder / ORIGINS, {PLACE: {"main": TOLD}})
    artifacts = {"onnx": {"main": PLACE}, "web": {"main": "artifacts/web/main.onnx"}}
    seal(folder, name="x", version="1", artifacts=artifacts)
    return read_bundle(folder)


def test_what_was_told_is_read_by_artifact_and_function(tmp_path: Path) -> None:
    bundle = make(tmp_path)
    assert bundled_origins(bundle, PLACE, "main") == TOLD
    for artifact, function in ((PLACE, "other"), ("artifacts/web/main.onnx", "main")):
        assert bundled_origins(bundle, artifact, function) == f"origins.json says nothing of {artifact}"


def test_they_are_evidence_which_the_tree_is_not_of_and_every_digest_is(tmp_path: Path) -> None:
    bundle = make(tmp_path / "with")
    assert ORIGINS in bundle.evidence.files
    assert make(tmp_path / "without", told=False).manifest.tree_sha256 == bundle.manifest.tree_sha256


def test_an_app_that_takes_a_part_does_not_take_them(tmp_path: Path) -> None:
    bundle = make(tmp_path)
    gone = left_out(bundle.manifest, bundle.evidence, ["onnx"])
    assert ORIGINS in gone
    said = bundled_origins(replace(bundle, left_out=gone), PLACE, "main")
    assert said == "this part of a bundle leaves evidence/origins.json out; pull it without --only"


def test_equal_tables_are_equal_bytes(tmp_path: Path) -> None:
    other = {"main": Told(origins=dict(TOLD.origins), carried=dict(TOLD.carried))}
    write_origins(tmp_path / "1", {"a": {"main": TOLD}, "b": {"main": TOLD}})
    write_origins(tmp_path / "2", {"b": other, "a": other})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_a_bundle_without_them_says_so(tmp_path: Path) -> None:
    said = bundled_origins(make(tmp_path, told=False), PLACE, "main")
    assert said == "its bundle has no evidence/origins.json"


def test_a_file_that_is_gone_or_altered_is_named(tmp_path: Path) -> None:
    bundle = make(tmp_path)
    (tmp_path / ORIGINS).write_bytes((tmp_path / ORIGINS).read_bytes()[:-20])
    with pytest.raises(ArtifactError, match=r"^evidence/origins\.json: altered, manifest\.json has another"):
        bundled_origins(bundle, PLACE, "main")
    (tmp_path / ORIGINS).unlink()
    with pytest.raises(ArtifactError, match=r"origins\.json: no such file"):
        bundled_origins(bundle, PLACE, "main")


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b'{"schema":1,"artif',
        b"[" * 99999,
        b"[]",
        b"{}",
        b'{"schema":2,"artifacts":{}}',
        b'{"schema":1,"artifacts":[]}',
        b'{"schema":1,"artifacts":{"main.onnx":[]}}',
        b'{"schema":1,"artifacts":{"main.onnx":{"main":[]}}}',
        b'{"schema":1,"artifacts":{"main.onnx":{"main":{"origins":{"t0":[1]},"carried":{}}}}}',
        b'{"schema":1,"artifacts":{"main.onnx":{"main":{"origins":{},"carried":{"a":["int8",[1e999],3]}}}}}',
        None,
    ],
)
def test_a_file_of_something_else_is_one_line(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "origins.json"
    huge(path) if content is None else path.write_bytes(content)
    said = r"^origins\.json(: main\.onnx)?: the origins of its tensors are damaged; build or pull it again$"
    with pytest.raises(ArtifactError, match=said):
        read_origins(path, "main.onnx", "main")


def test_the_file_says_its_version(tmp_path: Path) -> None:
    write_origins(tmp_path / "x", {"a": {"main": TOLD}})
    assert json.loads((tmp_path / "x").read_text())["schema"] == 1
