"""A delta gives the newer bundle to the bit, or leaves what was there, and says why in one line."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.package.delta.bundles import ONNX, bundle, contents, everything

from pocketrec.errors import ArtifactError, PocketrecError, StorageError, UsageError
from pocketrec.package.bundle import Bundle, read_bundle, verify_files
from pocketrec.package.delta.apply import apply_delta
from pocketrec.package.delta.format import (
    DIGEST,
    FIXED,
    Header,
    deflate,
    inflate,
    most_bytes,
    read_delta,
    write_delta,
)
from pocketrec.package.delta.make import Made, make_delta
from pocketrec.package.parts import left_out, write_part
from pocketrec.progress import silent
from pocketrec.schema import from_table


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pair:
    """Two releases, and the delta between them."""

    old: Bundle
    new: Bundle
    made: Made
    path: Path


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("delta")
    old, new = bundle(folder / "old", "1.0.0"), bundle(folder / "new", "1.1.0")
    made = make_delta(old, new, folder / "d.delta", silent)
    return Pair(old=old, new=new, made=made, path=folder / "d.delta")


def test_the_newer_bundle_comes_back_to_the_bit(pair: Pair, tmp_path: Path) -> None:
    made = apply_delta(pair.old, pair.path, tmp_path / "out", silent)
    assert everything(tmp_path / "out") == everything(pair.new.path)
    assert made.manifest.tree_sha256 == pair.new.manifest.tree_sha256
    assert verify_files(read_bundle(tmp_path / "out")) == ()
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert modes == {0o644}


def test_the_older_bundle_may_be_replaced_by_it(tmp_path: Path, pair: Pair) -> None:
    old = bundle(tmp_path / "here", "1.0.0")
    apply_delta(old, pair.path, old.path, silent)
    assert everything(old.path) == everything(pair.new.path)


def test_the_delta_holds_what_changed_and_little_more(pair: Pair) -> None:
    sizes = {each.path: each.stored_bytes for each in pair.made.files}
    assert "contract.json" not in sizes
    assert sizes["vocabularies/item.txt"] < 60
    assert sizes[ONNX] < 5 * 24 * 5 + 250  # five rows of 24 float32 and of 24 codes
    assert pair.made.size_bytes == pair.path.stat().st_size


def test_a_delta_is_the_same_file_each_time(pair: Pair, tmp_path: Path) -> None:
    make_delta(pair.old, pair.new, tmp_path / "again.delta", silent)
    assert (tmp_path / "again.delta").read_bytes() == pair.path.read_bytes()


def test_a_file_that_moved_and_one_that_is_new_are_there(tmp_path: Path) -> None:
    files = contents("1.0.0")
    old = bundle(tmp_path / "old", "1.0.0", files)
    files["vocabularies/film.txt"] = files.pop("vocabularies/item.txt")
    new = bundle(tmp_path / "new", "2.0.0", {**files, "empty.txt": b"", "new.bin": bytes(range(256))})
    made = make_delta(old, new, tmp_path / "d", silent)
    assert {each.path for each in made.files if not each.base} == {"empty.txt", "new.bin"}
    apply_delta(old, tmp_path / "d", tmp_path / "out", silent)
    assert everything(tmp_path / "out") == everything(new.path)


def test_signatures_of_the_newer_come_with_it_and_those_of_the_older_do_not(tmp_path: Path) -> None:
    old, new = bundle(tmp_path / "old", "1.0.0"), bundle(tmp_path / "new", "1.1.0")
    for each, text in ((old, b"older"), (new, b"newer")):
        (each.path / "signatures").mkdir()
        (each.path / "signatures/model.sig").write_bytes(text)
    (old.path / "signatures/bom.cdx.json").write_bytes(b"{}")
    make_delta(old, new, tmp_path / "d", silent)
    apply_delta(old, tmp_path / "d", tmp_path / "out", silent)
    assert everything(tmp_path / "out") == everything(new.path)


def test_another_release_is_told_what_it_is_and_what_is_needed(pair: Pair, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is small 1\.1\.0 .*leads from small 1\.0\.0 .*to small 1\.1\.0 "):
        apply_delta(pair.new, pair.path, tmp_path / "out", silent)
    files = {**contents("1.0.0"), "evidence/evidence.json": b"{}"}
    other = bundle(tmp_path / "other", "1.0.0", files)
    with pytest.raises(UsageError, match=r"is small 1\.0\.0 \(tree .*, evidence .*leads from small 1\.0\.0"):
        apply_delta(other, pair.path, tmp_path / "out", silent)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", [ONNX, "contract.json"])
def test_an_altered_file_of_the_older_bundle_gives_no_newer(name: str, pair: Pair, tmp_path: Path) -> None:
    old = bundle(tmp_path / "old", "1.0.0")
    data = (old.path / name).read_bytes()
    (old.path / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ArtifactError, match=name):
        apply_delta(old, pair.path, tmp_path / "out", silent)
    (old.path / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name}: missing"):
        apply_delta(old, pair.path, tmp_path / "out", silent)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["old"]


def read(data: bytes) -> Header:
    return read_delta(BytesIO(data), len(data), "d", lambda *_: None)


def test_a_flip_of_any_byte_and_a_cut_at_any_byte_are_refused_before_anything_is_written(pair: Pair) -> None:
    data = pair.path.read_bytes()
    assert read(data).target.version == "1.1.0"
    for place in range(len(data)):
        flipped = data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]
        for wrong in (flipped, data[:place]):
            with pytest.raises(ArtifactError, match=r"^d: .*(pull the delta|update pocketrec)"):
                read(wrong)


def sealed(data: bytes) -> bytes:
    """The bytes with the digest that fits them, as one who means harm writes it."""
    return data[:-DIGEST] + hashlib.sha256(data[:-DIGEST]).digest()


@pytest.mark.parametrize("step", [37, pytest.param(1, marks=pytest.mark.long)])
def test_a_flip_that_the_digest_was_made_to_fit_never_gives_an_altered_bundle(
    step: int, pair: Pair, tmp_path: Path
) -> None:
    data, newer = pair.path.read_bytes(), everything(pair.new.path)
    outcomes = []
    for place in range(7, len(data) - DIGEST, step):
        wrong = sealed(data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :])
        (tmp_path / "d").write_bytes(wrong)
        try:
            apply_delta(pair.old, tmp_path / "d", tmp_path / "out", silent)
        except PocketrecError as error:
            outcomes.append(str(error))
            assert not (tmp_path / "out").exists()
        else:
            assert everything(tmp_path / "out") == newer
            shutil.rmtree(tmp_path / "out")
    assert len(outcomes) > 0.9 * (len(data) - DIGEST - 7) / step
    assert sorted(each.name for each in tmp_path.iterdir()) == ["d"]


def changed(pair: Pair, path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The delta with another header, and a digest that fits."""
    data = pair.path.read_bytes()
    _, _, packed, raw = FIXED.unpack(data[: FIXED.size])
    table = json.loads(inflate(data[FIXED.size : FIXED.size + packed], raw))
    change(table)
    stored = sum(each["stored_bytes"] for each in table["files"])
    records = BytesIO(data[FIXED.size + packed :][:stored])
    with path.open("wb") as out:
        write_delta(out, from_table(Header, table, source="d"), records)
    return path


def place_of(table: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in table["files"] if each["path"] == name)
    return found


LIES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a file that no manifest lists": (
        lambda table: place_of(table, ONNX).update(path="a.onnx"),
        r"a\.onnx: no file of small 1\.1\.0",
    ),
    "a digest that the manifest does not have": (
        lambda table: place_of(table, ONNX).update(sha256="0" * 64),
        "main.onnx: no file of",
    ),
    "a manifest that is another": (
        lambda table: place_of(table, "manifest.json").update(sha256="0" * 64),
        "manifest.json: the delta does not give the file",
    ),
    "fewer bytes": (
        lambda table: place_of(table, ONNX).update(size_bytes=5),
        "main.onnx: a record of the delta is damaged",
    ),
    "more bytes": (
        lambda table: place_of(table, ONNX).update(size_bytes=10**5),
        "main.onnx: a record of the delta is damaged",
    ),
    "more bytes than its records can give": (
        lambda table: place_of(table, ONNX).update(size_bytes=10**10),
        r"main.onnx: 10000000000 bytes by \d+ of records, expected \d+ at most; pull the delta again",
    ),
    "a manifest larger than any is read": (
        lambda table: place_of(table, "manifest.json").update(size_bytes=(16 << 20) + 1),
        "manifest.json: 16777217 bytes by",
    ),
    "no manifest": (
        lambda table: table.update(files=table["files"][3:]),
        "manifest.json: not at the beginning of the delta's files",
    ),
    "a base that the older does not list": (
        lambda table: place_of(table, ONNX).update(base="../old/recipe.json"),
        "not a plain relative path",
    ),
    "a base that is not there": (
        lambda table: place_of(table, ONNX).update(base="signatures/model.sig"),
        "which .*old does not list",
    ),
    "another target": (lambda table: table["target"].update(version="9"), "says small 9"),
    "a file less": (lambda table: drop_last(table), "neither in the delta nor in"),
    "a file of another base's digest": (
        lambda table: place_of(table, ONNX).update(base_sha256="0" * 64),
        "main.onnx is altered",
    ),
}


def drop_last(table: dict[str, Any]) -> None:
    table["files"] = table["files"][:-1]


@pytest.mark.parametrize("lie", LIES)
def test_a_header_that_lies_gives_no_bundle(lie: str, pair: Pair, tmp_path: Path) -> None:
    change, said = LIES[lie]
    with pytest.raises(PocketrecError, match=said):
        apply_delta(pair.old, changed(pair, tmp_path / "d", change), tmp_path / "out", silent)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../out.txt", "not a plain relative path"),
        ("/etc/passwd", "not a plain relative path"),
        ("manifest.json", "stands there twice"),
    ],
)
def test_a_name_that_leads_out_or_stands_twice_is_refused(
    name: str, said: str, pair: Pair, tmp_path: Path
) -> None:
    with pytest.raises(PocketrecError, match=said):
        changed(pair, tmp_path / "d", lambda table: place_of(table, ONNX).update(path=name))


def with_header(text: bytes, raw: int | None = None) -> bytes:
    packed = deflate(text)
    size = FIXED.size + len(packed) + DIGEST
    start = FIXED.pack(b"PRDELTA\x01", size, len(packed), len(text) if raw is None else raw)
    return sealed(start + packed + b"\0" * DIGEST)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a pocketrec delta"),
        (b"PRDELTA\x02" + b"\0" * 60, "format 2, this pocketrec reads 1"),
        (with_header(b"{"), "not valid JSON"),
        (with_header(b"{}"), "schema is missing"),
        (with_header(b"{}", raw=1 << 30), "a header of 1073741824 bytes"),
        (with_header(b"\0" * (1 << 24), raw=2), "does not give the 2 bytes"),
    ],
)
def test_what_is_no_delta_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ArtifactError, match=said):
        read(data)


def test_a_few_bytes_of_records_fill_no_disk(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much the header says, nothing is written of what its records cannot give."""

    def bomb(table: dict[str, Any]) -> None:
        place_of(table, ONNX).update(size_bytes=most_bytes(place_of(table, ONNX)["stored_bytes"], base) + 1)

    base = (pair.old.path / ONNX).stat().st_size
    monkeypatch.setattr("pocketrec.package.delta.apply.staging", None)  # nothing is to come so far
    with pytest.raises(ArtifactError, match=f"{ONNX}: .* of records"):
        apply_delta(pair.old, changed(pair, tmp_path / "d", bomb), tmp_path / "out", silent)


def test_what_would_be_taken_for_a_bomb_is_stored_whole(tmp_path: Path) -> None:
    """A file of thousands of copies of the older one is made by a delta that `apply` takes."""
    small = np.random.default_rng(0).bytes(2000)
    old = bundle(tmp_path / "old", "1.0.0", {**contents("1.0.0"), "golden/a": small})
    new = bundle(tmp_path / "new", "1.1.0", {**contents("1.1.0"), "golden/a": small * 400})
    made = make_delta(old, new, tmp_path / "d", silent)
    entry = next(each for each in made.files if each.path == "golden/a")
    assert entry.size_bytes <= most_bytes(entry.stored_bytes, len(small) if entry.base else 0)
    apply_delta(old, tmp_path / "d", tmp_path / "out", silent)
    assert (tmp_path / "out/golden/a").read_bytes() == small * 400


@pytest.mark.parametrize("name", ["none", "folder"])
def test_a_delta_that_is_no_file_is_a_wrong_call(pair: Pair, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match=f"{name}: .*; pass the file of a delta"):
        apply_delta(pair.old, tmp_path / name, tmp_path / "out", silent)


def test_a_disk_without_room_is_found_before_anything_is_written(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(StorageError, match="1000 are free"):
        apply_delta(pair.old, pair.path, tmp_path / "out", silent)
    assert list(tmp_path.iterdir()) == []


def part_of(whole: Bundle, folder: Path, *only: str) -> Bundle:
    """A part of a bundle, as a pull of some targets leaves it."""
    shutil.copytree(whole.path, folder)
    for each in left_out(whole.manifest, whole.evidence, only):
        (folder / each).unlink()
    write_part(folder, only)
    return read_bundle(folder)


def test_a_delta_of_a_part_is_not_made(pair: Pair, tmp_path: Path) -> None:
    said = "a part of a bundle .* pull the whole one"
    with pytest.raises(ArtifactError, match=f"old: {said}"):
        make_delta(part_of(pair.old, tmp_path / "old", "onnx"), pair.new, tmp_path / "d", silent)
    with pytest.raises(ArtifactError, match=f"new: {said}"):
        make_delta(pair.old, part_of(pair.new, tmp_path / "new", "onnx"), tmp_path / "d", silent)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["new", "old"]


@pytest.mark.parametrize("target", ["onnx", "coreml"])
def test_a_part_of_the_older_bundle_becomes_that_part_of_the_newer(
    target: str, pair: Pair, tmp_path: Path
) -> None:
    made = apply_delta(part_of(pair.old, tmp_path / "old", target), pair.path, tmp_path / "out", silent)
    expected = part_of(pair.new, tmp_path / "new", target)
    assert everything(tmp_path / "out") == everything(tmp_path / "new")
    assert made.left_out == expected.left_out != frozenset()
    assert verify_files(read_bundle(tmp_path / "out")) == ()


def test_a_part_whose_target_is_gone_or_needs_another_is_told(tmp_path: Path) -> None:
    files = contents("1.0.0")
    old = bundle(tmp_path / "old", "1.0.0", {**files, "artifacts/onnx/more.bin": bytes(range(200))})
    part = part_of(old, tmp_path / "part", "coreml")
    moved = {**files, "artifacts/coreml/main.mlpackage/more.bin": bytes(range(200))}
    make_delta(old, bundle(tmp_path / "new", "1.1.0", moved), tmp_path / "d", silent)
    with pytest.raises(ArtifactError, match=r"more\.bin: neither in the delta nor in .*part"):
        apply_delta(part, tmp_path / "d", tmp_path / "out", silent)
    assert not (tmp_path / "out").exists()


def test_an_error_of_the_system_leaves_nothing(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(StorageError, match="No space left on device while it was written"):
        apply_delta(pair.old, pair.path, tmp_path / "out", silent)
    assert list(tmp_path.iterdir()) == []
