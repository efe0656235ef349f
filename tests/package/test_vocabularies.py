"""The files of a vocabulary hold a line for each of the contract's ids, or are refused by their name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.package.host.toys import FILMS, TITLES, TOKENS

from pocketrec.contract import Contract, Feature, Output, Signature, VocabularySpec
from pocketrec.errors import ArtifactError
from pocketrec.package.bundle import read_bundle, seal
from pocketrec.package.host.items import Items
from pocketrec.package.manifest import file_sha256
from pocketrec.package.vocabularies import vocabularies_of

FILES = {
    "tokens": "".join(f"{each}\n" for each in TOKENS).encode(),
    "titles": "".join(f"{each}\n" for each in TITLES).encode(),
    "spellings": b"\n1 2\n1 3\n2 1\n3 3\n\n",
}
NAMES = {"tokens": "film.txt", "titles": "film.titles.txt", "spellings": "film.spellings.txt"}


def read(folder: Path, **changed: bytes) -> Items:
    """The films of a bundle whose contract has the digests of the files as they are."""
    (folder / "vocabularies").mkdir(parents=True)
    digests = {}
    for key, data in {**FILES, **changed}.items():
        path = folder / "vocabularies" / NAMES[key]
        path.write_bytes(data)
        digests[key] = file_sha256(path)
    spec: VocabularySpec = replace(
        FILMS,
        sha256=digests["tokens"],
        titles_sha256=digests["titles"],
        spelled_in="film",
        spellings_sha256=digests["spellings"],
    )
    contract = Contract(
        functions={
            "main": Signature(
                inputs=(Feature(name="film", kind="id", shape=(1,), vocabulary="film"),),
                outputs=(Output(name="score", meaning="score", shape=(1,)),),
            )
        },
        vocabularies={"film": spec},
    )
    seal(folder, name="toy", version="1", artifacts={})
    return vocabularies_of(read_bundle(folder), contract.vocabularies)["film"]


def test_what_fits_is_read(tmp_path: Path) -> None:
    items = read(tmp_path)
    assert (items.tokens, items.titles) == (list(TOKENS), list(TITLES))
    assert items.spelled == {1: (1, 2), 2: (1, 3), 3: (2, 1), 4: (3, 3)}


@pytest.mark.parametrize("key", FILES)
def test_fewer_or_more_lines_than_ids_are_refused(tmp_path: Path, key: str) -> None:
    fewer, more = b"".join(FILES[key].splitlines(True)[:-2]), FILES[key] + b"9 9\n"
    for place, data, count in ((tmp_path / "fewer", fewer, 4), (tmp_path / "more", more, 7)):
        with pytest.raises(ArtifactError, match=rf"{NAMES[key]}: {count} lines; contract\.json has 6 ids"):
            read(place, **{key: data})


@pytest.mark.parametrize("key", FILES)
def test_what_is_no_utf8_is_refused_by_its_line(tmp_path: Path, key: str) -> None:
    lines = FILES[key].splitlines(True)
    with pytest.raises(ArtifactError, match=rf"{NAMES[key]}, line 3: no UTF-8"):
        read(tmp_path, **{key: b"".join([*lines[:2], b"\xff\n", *lines[3:]])})


@pytest.mark.parametrize(
    "line", [b"1", b"1 2 3", b"1 -3", b"1 x", b"1  2", b"", b"1 99999999999", "1 ²".encode()]
)
def test_what_spells_no_item_is_refused(tmp_path: Path, line: bytes) -> None:
    lines = FILES["spellings"].splitlines(True)
    with pytest.raises(ArtifactError, match=r"film\.spellings\.txt: not equally many ids"):
        read(tmp_path, spellings=b"".join([*lines[:2], line + b"\n", *lines[3:]]))
