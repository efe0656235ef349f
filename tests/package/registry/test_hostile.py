"""Manifests that somebody made up: each is refused in one line, and nothing is written elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.package.registry.toys import CREATED, layout, toy, tree

from pocketrec.errors import PocketrecError
from pocketrec.package.bundle import Bundle
from pocketrec.package.registry import modelpack as words
from pocketrec.package.registry.image import Descriptor, digest_of, release_image
from pocketrec.package.registry.listing import list_releases
from pocketrec.package.registry.pull import pull_release
from pocketrec.package.registry.push import push_release
from pocketrec.package.registry.reading import MOST_LAYERS, read_image, read_index, titled
from pocketrec.package.registry.references import parse_reference

DIGEST = f"sha256:{'0a' * 32}"


def descriptor(title: str = "", **other: Any) -> dict[str, Any]:
    annotations = {"annotations": {words.TITLE: title}} if title else {}
    return {"mediaType": "a/b", "digest": DIGEST, "size": 1, **annotations, **other}


def manifest(*layers: Any, **other: Any) -> bytes:
    table = {"schemaVersion": 2, "mediaType": words.IMAGE, "config": descriptor(), "layers": list(layers)}
    return json.dumps({**table, **other}).encode()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not valid JSON"),
        (b"[]", "is no table"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"a":' * 100_000, "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (manifest(schemaVersion=1), "is no OCI image manifest"),
        (manifest(mediaType="x\x1b[2J"), "x\\x1b[2J' is no OCI image manifest"),
        (manifest(mediaType=words.INDEX), "an index of several images"),
        (manifest(manifests=[]), "an index of several images"),
        (manifest(layers={}), "layers is {}; expected a list"),
        (manifest(7), "layers[0]: is no table"),
        (manifest(descriptor(), descriptor(digest="md5:00")), "layers[1]: digest 'md5:00'"),
        (manifest(descriptor(digest="sha512:" + "0" * 128)), "layers[0]: digest 'sha512:0"),
        (manifest(descriptor(digest=DIGEST.upper())), "expected sha256: and 64 digits of hex"),
        (manifest(descriptor(digest=None)), "digest None"),
        (manifest(descriptor(size=-1)), "size -1"),
        (manifest(descriptor(size=True)), "size True"),
        (manifest(descriptor(size=1.5)), "size 1.5"),
        (manifest(descriptor(size=1 << 80)), "expected a number of bytes"),
        (manifest(descriptor(size=1)).replace(b'"size": 1', b'"size": ' + b"1" * 5000), "not valid JSON"),
        (manifest(descriptor(mediaType=3)), "mediaType 3; expected text"),
        (manifest(descriptor(annotations={"a": 1})), "expected a table of texts"),
        (manifest(descriptor(annotations=[1])), "expected a table of texts"),
        (b'{"schemaVersion":2,"layers":[' + b"0," * MOST_LAYERS + b"0]}", f"{MOST_LAYERS + 1} layers"),
    ],
)
def test_what_is_no_manifest_says_why_in_one_line(data: bytes, said: str) -> None:
    with pytest.raises(PocketrecError) as error:
        read_image(data, "place")
    assert said in str(error.value)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    "data", [b"[]", b'{"schemaVersion":2}', b'{"schemaVersion":2,"manifests":[{"digest":1}]}']
)
def test_what_is_no_index_says_so(data: bytes) -> None:
    with pytest.raises(PocketrecError):
        read_index(data, "place")


@pytest.mark.parametrize(
    "title",
    [
        *(
            "../manifest.json",
            "a/../../b",
            "/etc/passwd",
            "a//b",
            "./a",
            "a/.",
            "..",
            "a\\b",
            "C:/a",
            "a\0b",
            "a\nb",
        ),
        *("\u202egpj.exe", "a" * 2000, "a/" + "b" * 256, "trailing./a", "space /a", "", "a/", "~\x7f"),
    ],
)
def test_a_title_that_is_no_plain_path_is_refused(title: str) -> None:
    layer = Descriptor(media_type="a/b", digest=DIGEST, size=1, annotations={words.TITLE: title})
    with pytest.raises(PocketrecError) as error:
        titled([layer], "place")
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    "titles",
    [
        ("a/b", "a/b"),
        ("a/b", "A/b"),
        ("caf\u00e9", "cafe\u0301"),
        ("stra\u00dfe", "STRASSE"),
        ("a", "a/b"),
        ("A", "a/b"),
        ("a/b/c", "a/B"),
    ],
)
def test_titles_that_meet_on_some_disk_are_refused(titles: tuple[str, str]) -> None:
    layers = [
        Descriptor(media_type="a/b", digest=DIGEST, size=1, annotations={words.TITLE: each})
        for each in titles
    ]
    with pytest.raises(PocketrecError, match=r"are one file on some systems|is a file and a folder"):
        titled(layers, "place")
    assert titled(layers[:1], "place").keys() == {titles[0]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return toy(tmp_path_factory.mktemp("made") / "toy")


def _title(table: dict[str, Any], number: int, title: str) -> None:
    table["layers"][number]["annotations"][words.TITLE] = title


CHANGES: list[Callable[[dict[str, Any]], object]] = [
    lambda table: _title(table, 0, "../../outside"),
    lambda table: _title(table, 0, "/tmp/outside"),
    lambda table: _title(table, 0, "surplus.txt"),
    lambda table: _title(table, 0, "evidence/evidence.json"),
    lambda table: table["layers"].pop(0),
    lambda table: table["layers"].append(table["layers"][0]),
    lambda table: table["layers"][0].pop("annotations"),
    lambda table: table["layers"][0].update(size=table["layers"][0]["size"] + 1),
    lambda table: table["layers"][0].update(size=1),
    lambda table: table["layers"][0].update(size=1 << 49),
    lambda table: table["layers"][0].update(digest=DIGEST),
    lambda table: table["layers"][0].update(digest=table["layers"][1]["digest"]),
    lambda table: _own(table).update(size=1 << 30),
    lambda table: _own(table).update(digest=DIGEST),
    lambda table: table["layers"].remove(_own(table)),
]


def _own(table: dict[str, Any]) -> dict[str, Any]:
    """The layer of manifest.json."""
    found: list[dict[str, Any]] = table["layers"]
    return next(each for each in found if each["annotations"][words.TITLE] == "manifest.json")


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_a_release_that_was_made_up_installs_nothing(made: Bundle, tmp_path: Path, number: int) -> None:
    """The place's own digests fit, as whoever alters it can see to that."""
    place = tmp_path / "deep" / "place"
    push_release(made, layout(place), "1", name="place", created=CREATED)
    table = json.loads(release_image(made, CREATED).data)
    CHANGES[number](table)
    data = json.dumps(table).encode()
    (place / "blobs/sha256" / digest_of(data)[7:]).write_bytes(data)
    index = json.loads((place / "index.json").read_text())
    index["manifests"] = [{**descriptor(), "digest": digest_of(data), "annotations": {words.REF_NAME: "1"}}]
    for each in json.loads((place / "index.json").read_text())["manifests"]:
        if each.get("artifactType") != words.ARTIFACT:
            blob = json.loads((place / "blobs/sha256" / each["digest"][7:]).read_bytes())
            blob["subject"]["digest"] = digest_of(data)
            other = json.dumps(blob).encode()
            (place / "blobs/sha256" / digest_of(other)[7:]).write_bytes(other)
            index["manifests"].append({**each, "digest": digest_of(other), "size": len(other)})
    (place / "index.json").write_text(json.dumps(index))
    before = tree(tmp_path / "deep")
    with pytest.raises(PocketrecError) as error:
        pull_release(
            layout(place), parse_reference(f"{place}:1"), out=tmp_path / "out/here", now=datetime.now(UTC)
        )
    assert str(error.value).isprintable()
    assert tree(tmp_path / "deep") == before
    assert {path.name for path in tmp_path.iterdir()} <= {"deep", "out"}
    assert not (tmp_path / "out/here").exists()


@pytest.mark.parametrize("linked", ["blobs", "index.json", "blobs/sha256", "oci-layout"])
def test_a_place_whose_parts_are_no_files_is_said(made: Bundle, tmp_path: Path, linked: str) -> None:
    """A circle of links in place of each part."""
    place = tmp_path / "place"
    push_release(made, layout(place), "1", name="place", created=CREATED)
    (place / linked).rename(tmp_path / "aside")
    (place / linked).symlink_to(linked.rpartition("/")[2])
    with pytest.raises(PocketrecError) as error:
        push_release(made, layout(place), "1", name="place", created=CREATED)
    assert str(error.value).isprintable()


def test_what_a_release_says_of_itself_is_shown_as_text(made: Bundle, tmp_path: Path) -> None:
    push_release(made, layout(tmp_path / "place"), "1", name="place", created=CREATED)
    table = json.loads(release_image(made, CREATED).data)
    table["annotations"] |= {words.VERSION: "\x1b[2J1.0", words.NAME: "n" * 5000}
    store = layout(tmp_path / "place")
    store.put_manifest(json.dumps(table).encode(), "2")
    store.put_manifest(json.dumps(table).encode().replace(b"[2J", b"[3J"), "3")
    (digest,) = [each.digest for each in list_releases(store) if each.tag == "3"]
    (tmp_path / "place/blobs/sha256" / digest[7:]).write_bytes(b"{}")
    found = {each.tag: each for each in list_releases(store)}
    assert found["1"].version == "1.4.0"
    assert found["2"].version == r"'\x1b[2J1.0'"
    assert len(found["2"].name) < 110
    assert "is not what its digest says" in found["3"].problem
