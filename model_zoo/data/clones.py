"""The Amazon sets from clones of the repositories that hold them, byte for byte what their digests say."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from pocketrec.errors import DataError, UsageError
from pocketrec.files import whole_or_nothing
from pocketrec.model_zoo.data.folders import cache_folder, check_sha256
from pocketrec.model_zoo.data.sets import DATASETS
from pocketrec.outside import read_file

_LARGEST = 1 << 25  # bytes; the largest file that is read has 3 · 10^6
_DESCRIBED = 600  # characters of a description that are kept
_FILE = "Office_Products_5_2016-10-2018-11.csv"
_S3REC, _RDREC, _TITLES = "CIKM2020-S3Rec/data", "RDRec/data", "LLM-Sequential-Recommendation/beauty"
_OFFICE = "MiniOneRec/data/Amazon"
Read = Callable[[str], str]


def from_clones(name: str, clones: Path) -> Path:
    """The folder of the cache with the set `name`, made from clones of its repositories.

    Args:
        name: a set that is made so.
        clones: the folder that holds the clones, each by its repository's name.

    Raises:
        UsageError: no set of that name is made so.
        DataError: a clone is not there, or holds other files than those that are wanted.
    """
    if name not in _MAKERS:
        raise UsageError(f"zoo data --from: {name!r} is not made from clones; expected {', '.join(_MAKERS)}")
    remedy = f"clone into {clones} and check out {DATASETS[name].origin}"

    def read(file: str) -> str:
        return read_file(clones / file, largest=_LARGEST, error=DataError, remedy=remedy).decode()

    try:
        made = dict(_MAKERS[name](read))
    except (KeyError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise DataError(f"{clones}: the clones hold other files ({error!r}); {remedy}") from None
    for file, text in made.items():
        check_sha256(clones / file, text.encode(), DATASETS[name].files[file], remedy)
    place = cache_folder(name)
    place.parent.mkdir(parents=True, exist_ok=True)
    with whole_or_nothing(place) as folder:
        folder.mkdir()
        for file, text in made.items():
            (folder / file).write_bytes(gzip.compress(text.encode(), mtime=0))
    return place


def _beauty(read: Read) -> Iterator[tuple[str, str]]:
    ids = {str(number): asin for asin, number in json.loads(read(f"{_TITLES}/item_id_to_int.json")).items()}
    named = csv.DictReader(io.StringIO(read(f"{_TITLES}/products_lookup.csv")))
    titles = {ids[row["global_product_id"]]: row["name"] for row in named}
    rows = ((*row, titles.get(row[1], "")) for row in _items(read, "Beauty", "beauty"))
    yield "items.csv.gz", _table(("item", "asin", "attributes", "title"), rows)
    yield "sequences.txt.gz", read(f"{_S3REC}/Beauty.txt")


def _sports(read: Read) -> Iterator[tuple[str, str]]:
    rows = _items(read, "Sports_and_Outdoors", "sports")
    yield "items.csv.gz", _table(("item", "asin", "attributes"), rows)
    yield "sequences.txt.gz", read(f"{_S3REC}/Sports_and_Outdoors.txt")


def _office(read: Read) -> Iterator[tuple[str, str]]:
    items = json.loads(read(f"{_OFFICE}/index/Office_Products.item.json"))
    described = ((at, items[str(at)]) for at in range(len(items)))
    rows = ((at, one["brand"], one["title"], one["description"][:_DESCRIBED]) for at, one in described)
    yield "items.csv.gz", _table(("item", "brand", "title", "description"), rows)
    for split in ("test", "valid"):
        users = csv.DictReader(io.StringIO(read(f"{_OFFICE}/{split}/{_FILE}")))
        yield f"{split}.tsv.gz", "".join(map(_user, users))


def _user(row: dict[str, str]) -> str:
    history = " ".join(map(str, json.loads(row["history_item_id"])))
    return f"{row['user_id']}\t{history}\t{row['item_id']}\n"


def _items(read: Read, name: str, short: str) -> Iterator[tuple[int, str, str]]:
    """Number, ASIN and attributes of every item of a set of S3-Rec."""
    attributes = json.loads(read(f"{_S3REC}/{name}_item2attributes.json"))
    asins = json.loads(read(f"{_RDREC}/{short}/datamaps.json"))["id2item"]
    for at in range(1, len(asins) + 1):
        yield at, asins[str(at)], " ".join(map(str, attributes.get(str(at), [])))


def _table(header: Sequence[str], rows: Iterable[Sequence[str | int]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows([header, *rows])
    return out.getvalue()


_MAKERS: dict[str, Callable[[Read], Iterator[tuple[str, str]]]] = {
    "amazon-beauty": _beauty,
    "amazon-sports": _sports,
    "amazon-office": _office,
}
