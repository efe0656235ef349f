"""Clones of public repositories become the files that a set's digests pin, or nothing does."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from pocketrec.errors import DataError, UsageError
from pocketrec.model_zoo.data import folders
from pocketrec.model_zoo.data.clones import from_clones
from pocketrec.model_zoo.data.sets import DATASETS

CLONES = {
    "CIKM2020-S3Rec/data/Beauty.txt": "1 1 2\n2 2\n",
    "CIKM2020-S3Rec/data/Beauty_item2attributes.json": json.dumps({"1": [7, 9]}),
    "RDRec/data/beauty/datamaps.json": json.dumps({"id2item": {"1": "B01", "2": "B02"}}),
    "LLM-Sequential-Recommendation/beauty/item_id_to_int.json": json.dumps({"B02": 0, "B01": 1}),
    "LLM-Sequential-Recommendation/beauty/products_lookup.csv": ',global_product_id,name\n0,1,"Soap, 1 oz"\n',
}
FILES = {
    "items.csv.gz": 'item,asin,attributes,title\n1,B01,7 9,"Soap, 1 oz"\n2,B02,,\n',
    "sequences.txt.gz": "1 1 2\n2 2\n",
}


@pytest.fixture
def clones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    digests = {name: sha256(text.encode()).hexdigest() for name, text in FILES.items()}
    monkeypatch.setitem(DATASETS, "amazon-beauty", replace(DATASETS["amazon-beauty"], files=digests))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("POCKETREC_DATA", raising=False)
    for file, text in CLONES.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text, encoding="utf-8")
    return tmp_path


def test_items_have_their_keys_attributes_and_titles_and_are_found_from_then_on(clones: Path) -> None:
    for _ in range(2):  # the second takes the place of the first
        place = from_clones("amazon-beauty", clones)
    assert {each.name: gzip.decompress(each.read_bytes()).decode() for each in place.iterdir()} == FILES
    assert folders.folder("amazon-beauty") == place


@pytest.mark.parametrize("file", CLONES)
@pytest.mark.parametrize("text", [None, "[]", '{"B01": 3}'])
def test_what_a_clone_lacks_or_has_otherwise_is_told_and_nothing_is_made(
    clones: Path, file: str, text: str | None
) -> None:
    if text is None:
        (clones / file).unlink()
    else:
        (clones / file).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"check out github.com/aHuiWang/CIKM2020-S3Rec at 49a890d"):
        from_clones("amazon-beauty", clones)
    assert not folders.cache_folder("amazon-beauty").exists()


def test_other_sets_are_not_made_so(clones: Path) -> None:
    with pytest.raises(UsageError, match="'ml-100k' is not made from clones; expected amazon-beauty, "):
        from_clones("ml-100k", clones)
    with pytest.raises(DataError, match=r"pocketrec zoo data amazon-beauty --from FOLDER takes clones"):
        folders.folder("amazon-beauty")
