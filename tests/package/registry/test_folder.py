"""A bundle goes to a folder and comes back as it was; what was altered on the way is refused, in one line."""

from __future__ import annotations

import errno
import json
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.package.registry.toys import CREATED, EVIDENCE, FILES, PACKAGE, layout, toy, tree

from pocketrec.errors import ArtifactError, PocketrecError, TagTaken, UsageError
from pocketrec.package.bundle import Bundle, read_bundle, verify_files
from pocketrec.package.registry.disk import Disk
from pocketrec.package.registry.image import digest_of, release_image
from pocketrec.package.registry.listing import list_releases, tag_release
from pocketrec.package.registry.pull import Pulled, pull_release
from pocketrec.package.registry.push import Pushed, push_release
from pocketrec.package.registry.references import parse_reference

NOW = datetime(2027, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return toy(tmp_path_factory.mktemp("made") / "toy")


def push(bundle: Bundle, place: Path, tag: str = "1.4.0", **options: Any) -> Pushed:
    return push_release(bundle, layout(place), tag, name=str(place), created=CREATED, **options)


def pull(place: Path, out: Path, wanted: str = "1.4.0", **options: Any) -> Pulled:
    reference = parse_reference(str(place)).at(wanted)
    return pull_release(layout(place), reference, out=out, now=NOW, **options)


def test_what_is_pulled_is_what_was_pushed(made: Bundle, tmp_path: Path) -> None:
    """All of them: two packages have files of one base name, and one file is empty."""
    pushed = push(made, tmp_path / "place")
    pulled = pull(tmp_path / "place", tmp_path / "out")
    assert tree(tmp_path / "out") == tree(made.path)
    assert len(tree(tmp_path / "out")) == len(FILES) + len(EVIDENCE) + 3
    assert (pulled.digest, pulled.tree_sha256) == (pushed.digest, made.manifest.tree_sha256)
    assert pulled.left_out == ()
    assert list((tmp_path).glob(".*")) == []


def test_equal_files_are_one_blob_and_are_not_sent_again(made: Bundle, tmp_path: Path) -> None:
    first = push(made, tmp_path / "place")
    again = push(made, tmp_path / "place")
    assert first.blobs == first.blobs_sent == len({*FILES.values(), *EVIDENCE.values()}) + 4
    assert (again.blobs_sent, again.bytes_sent, again.digest) == (0, 0, first.digest)


def test_the_digest_is_the_releases_and_not_its_evidences(made: Bundle, tmp_path: Path) -> None:
    other = toy(tmp_path / "other", evidence={"evidence/report.md": b"# slower"})
    assert release_image(other, CREATED).data == release_image(made, CREATED).data
    push(made, tmp_path / "place")
    assert push(other, tmp_path / "place").digest == release_image(made, CREATED).digest
    pull(tmp_path / "place", tmp_path / "out")
    assert (tmp_path / "out/evidence/report.md").read_bytes() == b"# slower"
    changed = toy(tmp_path / "changed", files={"vocabularies/item.txt": b"a\nc\n"})
    assert release_image(changed, CREATED).digest != release_image(made, CREATED).digest


def test_a_layer_is_titled_by_its_path_and_typed_by_modelpack(made: Bundle) -> None:
    image = json.loads(release_image(made, CREATED).data)
    titles = {
        each["annotations"]["org.opencontainers.image.title"]: each["mediaType"] for each in image["layers"]
    }
    assert set(titles) == {*FILES, "manifest.json"}
    assert titles["artifacts/onnx/main.onnx"] == "application/vnd.cncf.model.weight.v1.raw"
    assert titles["contract.json"] == "application/vnd.cncf.model.weight.config.v1.raw"
    assert titles["golden/main.safetensors"] == "application/vnd.cncf.model.dataset.v1.raw"
    assert image["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    config = json.loads(release_image(made, CREATED).config)
    assert config["descriptor"] == {
        **{"authors": ["A. Person"], "licenses": ["MIT"], "createdAt": CREATED},
        **{"name": "toy", "version": "1.4.0"},
    }
    assert config["modelfs"]["diffIds"] == [each["digest"] for each in image["layers"]]


def test_a_tag_of_another_release_stays_and_nothing_is_sent(made: Bundle, tmp_path: Path) -> None:
    push(made, tmp_path / "place")
    before = tree(tmp_path / "place")
    other = toy(tmp_path / "other", files={"vocabularies/item.txt": b"a\nc\n"})
    with pytest.raises(TagTaken, match="raise the version, pass another tag, or move this one with --move"):
        push(other, tmp_path / "place")
    assert tree(tmp_path / "place") == before
    moved = push(other, tmp_path / "place", move=True)
    assert pull(tmp_path / "place", tmp_path / "out").digest == moved.digest
    assert pull(tmp_path / "place", tmp_path / "old", release_image(made, CREATED).digest).files


def test_a_part_holds_what_an_app_needs_and_verifies(made: Bundle, tmp_path: Path) -> None:
    push(made, tmp_path / "place")
    pulled = pull(tmp_path / "place", tmp_path / "out", only=("coreml",))
    part = read_bundle(tmp_path / "out")
    assert verify_files(part) == ()
    assert (
        set(pulled.left_out)
        == part.left_out
        == {
            *(name for name in FILES if name.startswith("artifacts/onnx/")),
            "evidence/report.md",
        }
    )
    assert part.manifest.artifacts.keys() == {"coreml"}
    assert part.manifest.tree_sha256 == made.manifest.tree_sha256
    with pytest.raises(ArtifactError, match="left out of this part of the bundle"):
        part.file("artifacts/onnx/main.onnx")


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        (lambda out: (out / "golden/main.safetensors").unlink(), "golden/main.safetensors: missing"),
        (lambda out: (out / PACKAGE / "Manifest.json").write_bytes(b"[]"), "Manifest.json: altered"),
        (
            lambda out: (
                (out / "artifacts/onnx").mkdir() or (out / "artifacts/onnx/main.onnx").write_bytes(b"")
            ),
            "surplus",
        ),
    ],
)
def test_a_part_is_no_way_to_leave_out_or_alter_more(
    made: Bundle, tmp_path: Path, alter: Callable[[Path], object], said: str
) -> None:
    push(made, tmp_path / "place")
    pull(tmp_path / "place", tmp_path / "out", only=("coreml",))
    alter(tmp_path / "out")
    (problem,) = verify_files(read_bundle(tmp_path / "out"))
    assert said in problem


@pytest.mark.parametrize(
    "text", ['{"schema": 1, "only": ["tpu"]}', '{"schema": 1, "only": []}', '{"schema": 1, "only": 3}', "["]
)
def test_a_part_that_says_something_else_is_damaged(made: Bundle, tmp_path: Path, text: str) -> None:
    push(made, tmp_path / "place")
    pull(tmp_path / "place", tmp_path / "out", only=("coreml",))
    (tmp_path / "out/part.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"part\.json"):
        read_bundle(tmp_path / "out")


def test_a_target_that_is_none_is_named_with_those_that_are(made: Bundle, tmp_path: Path) -> None:
    push(made, tmp_path / "place")
    with pytest.raises(UsageError, match=r"'tpu' is no target of toy 1\.4\.0; expected one of coreml, onnx"):
        pull(tmp_path / "place", tmp_path / "out", only=("tpu",))
    assert not (tmp_path / "out").exists()


def test_a_tag_that_is_none_is_answered_with_those_that_are(made: Bundle, tmp_path: Path) -> None:
    push(made, tmp_path / "place")
    with pytest.raises(UsageError, match=r"2\.0: no such release; there are 1\.4\.0"):
        pull(tmp_path / "place", tmp_path / "out", "2.0")
    with pytest.raises(UsageError, match="no such release; there is none"):
        pull(tmp_path / "nowhere", tmp_path / "out")
    assert not (tmp_path / "nowhere").exists()


def test_an_older_release_is_replaced_and_what_it_has_is_not_fetched(made: Bundle, tmp_path: Path) -> None:
    push(made, tmp_path / "place")
    pull(tmp_path / "place", tmp_path / "out")
    newer = toy(tmp_path / "newer", version="1.5.0", files={"vocabularies/item.txt": b"a\nc\n"})
    push(newer, tmp_path / "place", "1.5.0")
    (tmp_path / "out/artifacts/onnx/main.onnx").write_bytes(b"grapH")  # which is therefore fetched
    pulled = pull(tmp_path / "place", tmp_path / "out", "1.5.0")
    assert tree(tmp_path / "out") == tree(newer.path)
    assert pulled.copied == len({*FILES.values(), *EVIDENCE.values()}) - 2
    assert pulled.fetched == 5  # those two, and the three manifests


def test_tags_are_listed_with_what_they_name_and_given_anew(made: Bundle, tmp_path: Path) -> None:
    pushed = push(made, tmp_path / "place")
    reference = parse_reference(f"{tmp_path / 'place'}:1.4.0")
    assert tag_release(layout(tmp_path / "place"), reference, "stable", move=False) == pushed.digest
    found = list(list_releases(layout(tmp_path / "place")))
    assert [(each.tag, each.version, each.digest) for each in found] == [
        ("1.4.0", "1.4.0", pushed.digest),
        ("stable", "1.4.0", pushed.digest),
    ]
    assert {each.size_bytes for each in found} == {
        sum(map(len, set(FILES.values()))) + (made.path / "manifest.json").stat().st_size
    }
    assert not any(each.signed for each in found)
    other = toy(tmp_path / "other", version="2.0.0")
    push(other, tmp_path / "place", "2.0.0")
    with pytest.raises(TagTaken, match="with --move"):
        tag_release(layout(tmp_path / "place"), reference, "2.0.0", move=False)
    assert tag_release(layout(tmp_path / "place"), reference, "2.0.0", move=True) == pushed.digest


def test_a_list_opens_no_manifest_twice(
    made: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(made, tmp_path / "place")
    for version in ("2.0.0", "3.0.0"):
        push(toy(tmp_path / version, version=version), tmp_path / "place", version)
    store, read, opened = layout(tmp_path / "place"), Disk.read, Counter[str]()

    def counted(disk: Disk, name: str, largest: int) -> bytes | None:
        opened.update([name] if name.startswith("blobs/") else [])
        return read(disk, name, largest)

    monkeypatch.setattr(Disk, "read", counted)
    assert len(list(list_releases(store))) == 3
    assert sorted(opened.values()) == [1] * 6  # each release, and its evidence


def test_a_folder_with_something_else_is_not_written_to(made: Bundle, tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place/mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty and no OCI image layout"):
        push(made, tmp_path / "place")
    assert tree(tmp_path / "place") == {"mine.txt": b"mine"}


def blob(place: Path, data: bytes) -> Path:
    return place / "blobs/sha256" / digest_of(data)[7:]


def test_altered_content_is_refused_and_nothing_is_installed(made: Bundle, tmp_path: Path) -> None:
    """One blob after the other: another byte, one more, one fewer, and gone."""
    push(made, tmp_path / "place")
    for path in sorted((tmp_path / "place/blobs/sha256").iterdir()):
        data = path.read_bytes()
        for other in (data[:-1] + b"\x01", data + b"\0", data[:-1], None):
            path.unlink()
            if other is not None:
                path.write_bytes(other)
            if other != data and not _is_config(data):
                shutil.rmtree(tmp_path / ".out.pulling", ignore_errors=True)  # what came well before
                with pytest.raises(PocketrecError) as error:
                    pull(tmp_path / "place", tmp_path / "out")
                assert "\n" not in str(error.value)
                assert not (tmp_path / "out").exists()
            path.write_bytes(data)
    pull(tmp_path / "place", tmp_path / "out")


def _is_config(data: bytes) -> bool:
    """What a pull does not read: all that it says stands in manifest.json, too."""
    return data == b"{}" or b"modelfs" in data


@pytest.mark.parametrize("method", ["lstat", "stat", "iterdir"])
def test_a_folder_that_nobody_may_read_is_no_empty_one(
    made: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    folder = Disk(tmp_path / "releases")
    push(made, tmp_path / "releases")

    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    asked: dict[str, Callable[[], object]] = {
        "lstat": lambda: folder.read("index.json", 1 << 20),
        "stat": lambda: folder.size("index.json"),
        "iterdir": lambda: folder.others(()),
    }
    monkeypatch.setattr(Path, method, refused)
    with pytest.raises(UsageError, match=r"releases: cannot be read \(Permission denied\); check"):
        asked[method]()
